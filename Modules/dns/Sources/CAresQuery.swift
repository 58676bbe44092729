#if CAres
  internal import CCares
  internal import Glibc
  internal import NetBase
  internal import SIPStack

  /// One question to DNS, from its channel's beginning to its end; blocks, for ten seconds at most.
  @safe final class CAresQuery {
    private static let timeout: Int32 = 1500
    private static let tries: Int32 = 3

    private let question: DNSQuestion
    private var answer: DNSAnswer?

    private init(_ question: DNSQuestion) { self.question = question }

    /// - Parameter servers: addresses with ports, separated by commas; empty for the system's.
    static func run(_ question: DNSQuestion, servers: String) -> DNSAnswer {
      var options = unsafe ares_options()
      unsafe options.timeout = Self.timeout
      unsafe options.tries = Self.tries
      unsafe options.flags = ARES_FLAG_NOSEARCH
      var channel: ares_channel?
      let status = unsafe ares_init_options(
        &channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_FLAGS)
      guard status == ARES_SUCCESS, let channel = unsafe channel else {
        return .failed(CAresLibrary.words(status))
      }
      let query = CAresQuery(question)
      // `ares_destroy` calls back for a question that is still open: the query outlives the channel.
      defer { withExtendedLifetime(query) { unsafe ares_destroy(channel) } }
      if !servers.isEmpty {
        let status = unsafe ares_set_servers_ports_csv(channel, servers)
        guard status == ARES_SUCCESS else { return .failed("dns_server: \(CAresLibrary.words(status))") }
      }
      unsafe query.start(channel)
      unsafe query.wait(channel)
      return query.answer ?? .failed("no answer")
    }

    private func start(_ channel: ares_channel) {
      // `run` holds the query until the channel is destroyed, after which c-ares calls nobody back.
      let this = unsafe Unmanaged.passUnretained(self).toOpaque()
      switch self.question {
      case .naptr(let name): unsafe ares_query(channel, name, 1, 35, Self.answered, this)
      case .srv(let name): unsafe ares_query(channel, name, 1, 33, Self.answered, this)
      case .a(let name): unsafe self.ask(channel, name, AF_INET, this)
      case .aaaa(let name): unsafe self.ask(channel, name, AF_INET6, this)
      }
    }

    /// Addresses, from the hosts file too.
    private func ask(_ channel: ares_channel, _ name: String, _ family: Int32, _ this: UnsafeMutableRawPointer) {
      var hints = ares_addrinfo_hints()
      hints.ai_family = family
      hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
      unsafe ares_getaddrinfo(channel, name, nil, &hints, Self.found, this)
    }

    /// Turns until the answer is there.
    private func wait(_ channel: ares_channel) {
      let most = Int(ARES_GETSOCK_MAXNUM)
      while self.answer == nil {
        var sockets = [ares_socket_t](repeating: -1, count: most)
        let bits = unsafe ares_getsock(channel, &sockets, Int32(most))
        var polled: [pollfd] = []
        for index in 0..<most {
          var events: Int32 = 0
          if bits & (1 << index) != 0 { events |= POLLIN }
          if bits & (1 << (index + most)) != 0 { events |= POLLOUT }
          if events != 0 { polled.append(pollfd(fd: sockets[index], events: Int16(events), revents: 0)) }
        }
        guard !polled.isEmpty else { return }
        var longest = timeval(tv_sec: 1, tv_usec: 0)
        var next = timeval()
        _ = unsafe ares_timeout(channel, &longest, &next)
        _ = unsafe poll(&polled, nfds_t(polled.count), Int32(next.tv_sec * 1000 + next.tv_usec / 1000 + 1))
        for one in polled where one.revents != 0 {
          unsafe ares_process_fd(
            channel, Int32(one.revents) & (POLLIN | POLLERR | POLLHUP) != 0 ? one.fd : -1,
            Int32(one.revents) & POLLOUT != 0 ? one.fd : -1)
        }
        // Time passes for questions that nobody answers, too.
        unsafe ares_process_fd(channel, -1, -1)
      }
    }

    private static let answered: ares_callback = { this, status, _, bytes, count in
      guard let this = unsafe this else { return }
      // What `start` handed over, on the thread that waits for it.
      let query = unsafe Unmanaged<CAresQuery>.fromOpaque(this).takeUnretainedValue()
      query.answer = unsafe query.failure(status) ?? query.records(bytes, count)
    }

    private static let found: ares_addrinfo_callback = { this, status, _, result in
      guard let this = unsafe this else { return }
      // What `start` handed over, on the thread that waits for it.
      let query = unsafe Unmanaged<CAresQuery>.fromOpaque(this).takeUnretainedValue()
      defer { unsafe ares_freeaddrinfo(result) }
      query.answer = unsafe query.failure(status) ?? CAresQuery.addresses(result?.pointee.nodes)
    }

    private func failure(_ status: Int32) -> DNSAnswer? {
      switch status {
      case ARES_SUCCESS: nil
      case ARES_ENODATA, ARES_ENOTFOUND: .nothing
      default: .failed(CAresLibrary.words(status))
      }
    }

    private func records(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> DNSAnswer {
      if case .naptr = self.question { return unsafe Self.pointers(bytes, count) }
      return unsafe Self.services(bytes, count)
    }

    private static func services(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> DNSAnswer {
      var first: UnsafeMutablePointer<ares_srv_reply>?
      let status = unsafe ares_parse_srv_reply(bytes, count, &first)
      guard status == ARES_SUCCESS else { return .nothing }
      defer { unsafe ares_free_data(first) }
      var records: [SRVRecord] = []
      var next = unsafe first
      while let record = unsafe next?.pointee {
        unsafe records.append(
          SRVRecord(
            priority: record.priority, weight: record.weight, port: record.port,
            target: String(cString: record.host)))
        unsafe next = record.next
      }
      return records.isEmpty ? .nothing : .srv(records)
    }

    private static func pointers(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> DNSAnswer {
      var first: UnsafeMutablePointer<ares_naptr_reply>?
      let status = unsafe ares_parse_naptr_reply(bytes, count, &first)
      guard status == ARES_SUCCESS else { return .nothing }
      defer { unsafe ares_free_data(first) }
      var records: [NAPTRRecord] = []
      var next = unsafe first
      while let record = unsafe next?.pointee {
        unsafe records.append(
          NAPTRRecord(
            order: record.order, preference: record.preference, flags: String(cString: record.flags),
            service: String(cString: record.service), regularExpression: String(cString: record.regexp),
            replacement: String(cString: record.replacement)))
        unsafe next = record.next
      }
      return records.isEmpty ? .nothing : .naptr(records)
    }

    private static func addresses(_ first: UnsafeMutablePointer<ares_addrinfo_node>?) -> DNSAnswer {
      var addresses: [SocketAddress] = []
      var next = unsafe first
      while let node = unsafe next?.pointee {
        var text = [CChar](repeating: 0, count: 64)
        let status = unsafe getnameinfo(
          node.ai_addr, node.ai_addrlen, &text, socklen_t(text.count), nil, 0, Int32(NI_NUMERICHOST))
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if status == 0, let address = SocketAddress(host: host, port: 0), !addresses.contains(address) {
          addresses.append(address)
        }
        unsafe next = node.ai_next
      }
      return addresses.isEmpty ? .nothing : .addresses(addresses)
    }
  }
#endif
