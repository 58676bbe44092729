#if ALSA
  internal import CAlsa
  internal import Glibc
  internal import ModuleKit

  enum ALSALibrary {
    static var version: String { "alsa-lib \(unsafe String(cString: snd_asoundlib_version()))" }

    static func keepQuiet() { calsa_keep_quiet() }

    static func words(_ code: Int32) -> String { unsafe String(cString: snd_strerror(code)).lowercased() }

    /// Names of the devices that ALSA's configuration shows to people.
    static func devices() -> [String] {
      Self.keepQuiet()
      var hints: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
      guard unsafe snd_device_name_hint(-1, "pcm", &hints) == 0, let hints = unsafe hints else { return [] }
      defer { unsafe snd_device_name_free_hint(hints) }
      var names: [String] = []
      var next = unsafe hints
      while let hint = unsafe next.pointee {
        if let name = unsafe Self.field("NAME", of: hint) {
          let way = unsafe Self.field("IOID", of: hint).map { $0 == "Input" ? " (source)" : " (player)" } ?? ""
          names.append(name + way)
        }
        unsafe next += 1
      }
      return names
    }

    private static func field(_ name: String, of hint: UnsafeMutableRawPointer) -> String? {
      guard let text = unsafe snd_device_name_get_hint(hint, name) else { return nil }
      defer { unsafe free(text) }
      return unsafe String(cString: text)
    }

    /// Whether ALSA's configuration has such a device; whether it is there, only opening it shows.
    static func check(_ name: String, _ facet: String) throws(ModuleError) {
      Self.keepQuiet()
      var top: OpaquePointer?
      let status = unsafe snd_config_update_ref(&top)
      guard status >= 0, let top = unsafe top else {
        throw ModuleError(.unavailable, "\(facet) alsa: its configuration can't be read: \(Self.words(status))")
      }
      defer { unsafe snd_config_unref(top) }
      var found: OpaquePointer?
      let code = unsafe snd_config_search_definition(top, "pcm", name, &found)
      if let found = unsafe found { unsafe snd_config_delete(found) }
      guard code >= 0 else {
        throw ModuleError(
          .configuration,
          "\(facet) alsa: ALSA knows no device \"\(name)\" (\(Self.words(code))); \"apus modules\" lists those it shows"
        )
      }
    }
  }
#endif
