"""A way to Apus on which a part of the media is lost."""
import random
import select
import socket

from lab import HOST, Background


class LossyWay(Background):
    """A port before Apus's: what comes to it goes on, but for a part of the media."""

    def __init__(self, namespace, target, part):
        def open_socket():
            ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ours.bind((HOST, 0))
            return ours

        self.page, self.apus = namespace.inside(open_socket), namespace.inside(open_socket)
        self.port, self.target, self.part = self.page.getsockname()[1], target, part
        self.types, self.dropped = set(), 0
        # What each packet has in header extensions of one-byte form, by their number.
        self.elements = []
        super().__init__()

    def __exit__(self, *_):
        super().__exit__()
        self.page.close()
        self.apus.close()

    def run(self):
        dice, page = random.Random(7), None
        while not self.is_ended:
            for each in select.select([self.page, self.apus], [], [], 0.1)[0]:
                data, source = each.recvfrom(65536)
                if each is self.apus:
                    self.page.sendto(data, page)
                    continue
                page = source
                if 128 <= data[0] < 192 and not 192 <= data[1] <= 223:
                    self.types.add(data[1] & 127)
                    self.elements.append(self.read(data))
                    if dice.random() < self.part:
                        self.dropped += 1
                        continue
                self.apus.sendto(data, self.target)

    @staticmethod
    def read(packet):
        """Chromium's packets have no CSRCs."""
        found = {}
        if not packet[0] & 0x10 or packet[12:14] != b"\xbe\xde":
            return found
        place, end = 16, 16 + 4 * int.from_bytes(packet[14:16], "big")
        while place < end:
            number, length = packet[place] >> 4, (packet[place] & 15) + 1
            if packet[place]:
                found[number] = packet[place + 1 : place + 1 + length]
            place += 1 + length if packet[place] else 1
        return found
