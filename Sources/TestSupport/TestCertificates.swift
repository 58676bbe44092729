internal import Glibc

/// Certificates of nobody's, valid for a century; their keys protect nothing.
package enum TestCertificates {
  /// Writes a certificate to a file of its own.
  ///
  /// - Returns: the path.
  package static func file(_ text: String) -> String {
    var path = Array("/tmp/apus-test-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&path)
    precondition(descriptor >= 0, "no room in /tmp")
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let written = unsafe write(descriptor, bytes, bytes.count)
    precondition(written == bytes.count, "no room in /tmp")
    return String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// An authority that tests trust.
  package static let authority = """
    -----BEGIN CERTIFICATE-----
    MIIBhTCCASugAwIBAgIUXbNTJikd2bgiahCBQssk5B28vuYwCgYIKoZIzj0EAwIw
    FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IGNhMCAXDTI2MTEyNjA4MTQxNloYDzIxMjYx
    MTAyMDgxNDE2WjAXMRUwEwYDVQQDDAxBcHVzIHRlc3QgY2EwWTATBgcqhkjOPQIB
    BggqhkjOPQMBBwNCAATQir+2OIEYlvhyXG2gUZSX9SLDFcZS5k4Y+BKuU7ZXaTeo
    LYB3oRDMI6uEsKxOdGAJ9pUeRpsfOs0tPd6gFrL4o1MwUTAdBgNVHQ4EFgQUBfBv
    sJS+e1ZAM3QSiCODT3bDSYIwHwYDVR0jBBgwFoAUBfBvsJS+e1ZAM3QSiCODT3bD
    SYIwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA7ZVdtHt73247
    sHelF5BMonDm2CGgyDI8/01C+ezJ/TwCIAqKTo4ReFd2/RBbvssOkguxwJaoRFRk
    sxgcCW/j5TJC
    -----END CERTIFICATE-----

    """

  /// Of the authority, for example.test, sip.example.test, 127.0.0.1 and ::1; with its key.
  package static let server = """
    -----BEGIN CERTIFICATE-----
    MIIBxDCCAWqgAwIBAgIUOoJyUzXGakSZmMtql9tIAkSJ2JcwCgYIKoZIzj0EAwIw
    FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IGNhMCAXDTI2MTEyNjA4MTQxNloYDzIxMjYx
    MTAyMDgxNDE2WjAXMRUwEwYDVQQDDAxleGFtcGxlLnRlc3QwWTATBgcqhkjOPQIB
    BggqhkjOPQMBBwNCAASRrcunK8H0fMEfvbugDNB0Phgbc891dFgubvm+K7Acrdkk
    N6ed5v+tL3Mey+qDvv2FmhHsZUpUXYBsISCslodfo4GRMIGOMEEGA1UdEQQ6MDiC
    DGV4YW1wbGUudGVzdIIQc2lwLmV4YW1wbGUudGVzdIcEfwAAAYcQAAAAAAAAAAAA
    AAAAAAAAATAJBgNVHRMEAjAAMB0GA1UdDgQWBBSH9558EK+N8y6IiJBVxNaeWvmP
    IDAfBgNVHSMEGDAWgBQF8G+wlL57VkAzdBKII4NPdsNJgjAKBggqhkjOPQQDAgNI
    ADBFAiEA/rO42DTxSPNMMGTXNs0bmlM9GEgoJaaco5gDkHvY0NQCIHqOOBUH5gHy
    tv5r1wk6q6yEHXZk44ZmEPj//xbbVmna
    -----END CERTIFICATE-----
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQI3/4qPefNK2tk8R
    zwZ6a26McOw4FnhZgyI4k16OOsqhRANCAASRrcunK8H0fMEfvbugDNB0Phgbc891
    dFgubvm+K7AcrdkkN6ed5v+tL3Mey+qDvv2FmhHsZUpUXYBsISCslodf
    -----END PRIVATE KEY-----

    """

  /// Of the authority, for alice.test; with its key.
  package static let client = """
    -----BEGIN CERTIFICATE-----
    MIIBkDCCATWgAwIBAgIUOoJyUzXGakSZmMtql9tIAkSJ2JgwCgYIKoZIzj0EAwIw
    FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IGNhMCAXDTI2MTEyNjA4MTQxNloYDzIxMjYx
    MTAyMDgxNDE2WjAQMQ4wDAYDVQQDDAVhbGljZTBZMBMGByqGSM49AgEGCCqGSM49
    AwEHA0IABH+2BSNZOF+wZ3icBly7cCe6t3rI7JFiW1WJ3TKL9ErLp7zuRROVUe04
    KwYDaI3iWTvz7pEWF6R8cu4C6m+PIxKjZDBiMBUGA1UdEQQOMAyCCmFsaWNlLnRl
    c3QwCQYDVR0TBAIwADAdBgNVHQ4EFgQUSK7pGCMPQHFI0kYB2tTqi8QQ4jAwHwYD
    VR0jBBgwFoAUBfBvsJS+e1ZAM3QSiCODT3bDSYIwCgYIKoZIzj0EAwIDSQAwRgIh
    AKxhV2Ieu2C0oCxtmf9gIWzTkCAFtz6UsMA4E1XoyPrlAiEAlxbKs4VwFs++F/mV
    G6AmNOf/sYec0ZuZfNSWC7aKp50=
    -----END CERTIFICATE-----
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKjZjPihY9/UIOAVG
    TW3wa5lXL4ZKSWsj1Tub3cSTPnehRANCAAR/tgUjWThfsGd4nAZcu3Anurd6yOyR
    YltVid0yi/RKy6e87kUTlVHtOCsGA2iN4lk78+6RFhekfHLuAupvjyMS
    -----END PRIVATE KEY-----

    """

  /// For example.test and 127.0.0.1, of an authority that nobody trusts; with its key.
  package static let stranger = """
    -----BEGIN CERTIFICATE-----
    MIIBoTCCAUegAwIBAgIUbnU4ZLHkFWPCFmPnMMOuyk+uypgwCgYIKoZIzj0EAwIw
    GjEYMBYGA1UEAwwPQXB1cyB0ZXN0IG90aGVyMCAXDTI2MTEyNjA4MTQxNloYDzIx
    MjYxMTAyMDgxNDE2WjAXMRUwEwYDVQQDDAxleGFtcGxlLnRlc3QwWTATBgcqhkjO
    PQIBBggqhkjOPQMBBwNCAATLC4kCkYzphDexHuLdR0XE9O7AZM2w96ZYPGnnfZon
    cXRdeVK2IIEM4Vd9+3pomQ7UdGerhjQmKTdRyQ3QR+Aco2wwajAdBgNVHREEFjAU
    ggxleGFtcGxlLnRlc3SHBH8AAAEwCQYDVR0TBAIwADAdBgNVHQ4EFgQUPYh6VFio
    752sxq/MzNZgJ6jlt3owHwYDVR0jBBgwFoAU3R3M8z7mGne+1XnKmGRUrRItp/0w
    CgYIKoZIzj0EAwIDSAAwRQIhAObsDL6MMUFxVa815R9FDD5dFIk8dj5JcJWDKqRq
    5VGcAiBRO2P42ZQmQP9xdHaV2y3dIc8vZESwZxlKvSHKuAPxuw==
    -----END CERTIFICATE-----
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfPjrDiCss50IlKEX
    VZ0v/9se3pZk8NNAADT4hcZQ/x+hRANCAATLC4kCkYzphDexHuLdR0XE9O7AZM2w
    96ZYPGnnfZoncXRdeVK2IIEM4Vd9+3pomQ7UdGerhjQmKTdRyQ3QR+Ac
    -----END PRIVATE KEY-----

    """

  /// Of the authority, for elsewhere.test; with its key.
  package static let elsewhere = """
    -----BEGIN CERTIFICATE-----
    MIIBnDCCAUKgAwIBAgIUOoJyUzXGakSZmMtql9tIAkSJ2JkwCgYIKoZIzj0EAwIw
    FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IGNhMCAXDTI2MTEyNjA4MTQxNloYDzIxMjYx
    MTAyMDgxNDE2WjAZMRcwFQYDVQQDDA5lbHNld2hlcmUudGVzdDBZMBMGByqGSM49
    AgEGCCqGSM49AwEHA0IABE6SIelQV1+FAtjZTcncAAeFHVdWwvxEq/Oakq9lCZwz
    +n2VUp6UThPxLRcdTkh30KrbmeBCFhJnqzjWmIkUpMmjaDBmMBkGA1UdEQQSMBCC
    DmVsc2V3aGVyZS50ZXN0MAkGA1UdEwQCMAAwHQYDVR0OBBYEFOhTA8laQg/Y7u0p
    9ArjzdimZoFiMB8GA1UdIwQYMBaAFAXwb7CUvntWQDN0Eogjg092w0mCMAoGCCqG
    SM49BAMCA0gAMEUCIA9zwSdcIEWCZWg/mbltj/KJZ8RHR5rNZWmTpCujEkmkAiEA
    qptxSpNaUD9u5/Dm6oiOtMPLCbqjg1ZL7B/py/PKALM=
    -----END CERTIFICATE-----
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXlXPhRCqu4sVH98Q
    5+m48T/Vm6LT5ya3Ldih3AvCkAKhRANCAAROkiHpUFdfhQLY2U3J3AAHhR1XVsL8
    RKvzmpKvZQmcM/p9lVKelE4T8S0XHU5Id9Cq25ngQhYSZ6s41piJFKTJ
    -----END PRIVATE KEY-----

    """
}
