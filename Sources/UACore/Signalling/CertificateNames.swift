internal import COpenSSL

/// Whom a certificate names, and who issued it, as OpenSSL writes names.
package struct CertificateNames {
  package let subject: String
  package let issuer: String

  /// - Parameter file: PEM; the first certificate in it counts. Nil where there is none.
  package init?(file: String) {
    ERR_clear_error()
    guard let input = unsafe BIO_new_file(file, "r") else { return nil }
    defer { unsafe BIO_free(input) }
    guard let certificate = unsafe PEM_read_bio_X509(input, nil, nil, nil) else { return nil }
    defer { unsafe X509_free(certificate) }
    self.subject = unsafe Self.text(X509_get_subject_name(certificate))
    self.issuer = unsafe Self.text(X509_get_issuer_name(certificate))
  }

  private static func text(_ name: OpaquePointer?) -> String {
    var room = [CChar](repeating: 0, count: 1024)
    guard unsafe X509_NAME_oneline(name, &room, Int32(room.count)) != nil else { return "" }
    return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
