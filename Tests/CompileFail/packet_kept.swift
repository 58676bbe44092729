// error: global function 'swap' requires that 'Packet' conform to 'Escapable'
import NetBase
import Runtime

func keep(_ batch: PacketBatch, _ kept: inout Packet) {
  batch.withPacket(0) { packet in swap(&packet, &kept) }
}
