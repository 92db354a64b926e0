/// Certificates for tests, valid until 2126: an authority, and two that it has signed. The keys protect nothing.
package enum TestCertificates {
    package static let authority = Certificate(
        chain: """
            -----BEGIN CERTIFICATE-----
            MIIBmTCCAT+gAwIBAgIUOnzsXjHRh2bjrx3BZgIUXMoyT1gwCgYIKoZIzj0EAwIw
            GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTIxMTYwMTE3WhgPMjEy
            NjEwMjgxNjAxMTdaMBkxFzAVBgNVBAMMDlRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
            zj0CAQYIKoZIzj0DAQcDQgAEAF0qzrYTlx7s6ryV1bZMpqfZ6/CutUYwAJRE/mMW
            xF1izIsM4LIcqbaoWFDcfcqBNJkmniKoXZ12PCE6hSNf06NjMGEwHQYDVR0OBBYE
            FKlTw4pNYTVju6otG7df7jpAELV7MB8GA1UdIwQYMBaAFKlTw4pNYTVju6otG7df
            7jpAELV7MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49
            BAMCA0gAMEUCIQC4k4puSom4k51U72KxoSuTM9y3/Da2rrh5ILbRaeThwwIgNpfs
            U9J6pemjnpt5NCPAXaQ9oYdxXHgCkcc8p5i+Hpo=
            -----END CERTIFICATE-----
            """, key: "")

    /// For `one.example`, `*.one.example`, `localhost` and 127.0.0.1.
    package static let one = Certificate(
        chain: """
            -----BEGIN CERTIFICATE-----
            MIIBwzCCAWqgAwIBAgIUKtBi2d5IZvee9s5ZF/U4gJYn2twwCgYIKoZIzj0EAwIw
            GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTIxMTYwMTE4WhgPMjEy
            NjEwMjgxNjAxMThaMBYxFDASBgNVBAMMC29uZS5leGFtcGxlMFkwEwYHKoZIzj0C
            AQYIKoZIzj0DAQcDQgAEw8CXYiBkpJdpIP6mfsg+wXtfKGmYzAiJoazaYVKaSuQv
            E4nJ1dBMheKWGBscSj80cxz6Aq6imR/ldS+2Xv1vLaOBkDCBjTA2BgNVHREELzAt
            ggtvbmUuZXhhbXBsZYINKi5vbmUuZXhhbXBsZYIJbG9jYWxob3N0hwR/AAABMBMG
            A1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBRhSpu/lQR4wfKsRgBjggxEZJBd
            qjAfBgNVHSMEGDAWgBSpU8OKTWE1Y7uqLRu3X+46QBC1ezAKBggqhkjOPQQDAgNH
            ADBEAiB2/rDldSSGFNEivH55VU/L5rCWPvPtvdB1fbrhLodUHwIgNJzCIMyw5Wyr
            /VsmuvVFE8Ijh8wKgbqe/wCEVyJBmOM=
            -----END CERTIFICATE-----
            """,
        key: """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrkcgB27VN5N7jTlN
            f7qE5oQAa1jXAZ/gSoj1RT1ijdyhRANCAATDwJdiIGSkl2kg/qZ+yD7Be18oaZjM
            CImhrNphUppK5C8TicnV0EyF4pYYGxxKPzRzHPoCrqKZH+V1L7Ze/W8t
            -----END PRIVATE KEY-----
            """)

    /// For `two.example`.
    package static let two = Certificate(
        chain: """
            -----BEGIN CERTIFICATE-----
            MIIBojCCAUigAwIBAgIUKtBi2d5IZvee9s5ZF/U4gJYn2t0wCgYIKoZIzj0EAwIw
            GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTIxMTYwMTE4WhgPMjEy
            NjEwMjgxNjAxMThaMBYxFDASBgNVBAMMC3R3by5leGFtcGxlMFkwEwYHKoZIzj0C
            AQYIKoZIzj0DAQcDQgAEmOklCFdBHIC0U4qrSp2O6S1mFhfzklUWpXZtlbsn/1mc
            nIpvZ+y/09sIbyKLiybxf3O8pAMbo4PXwVWDZwta/6NvMG0wFgYDVR0RBA8wDYIL
            dHdvLmV4YW1wbGUwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFOaNmZ0O
            BlmchKHo1Bo0Ps38UZmDMB8GA1UdIwQYMBaAFKlTw4pNYTVju6otG7df7jpAELV7
            MAoGCCqGSM49BAMCA0gAMEUCIQDZ1+yn6D9/2+8lruMnrNcugYFOq3UcLKOXlorp
            +qrzfgIgR2St2McPQoDRUr9+8MkR6Ezjo79qq4PSIV8FEJUmMmM=
            -----END CERTIFICATE-----
            """,
        key: """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgI4GpGwGm1nKyRsHu
            2z6+Vpzi32bqsBuJxPzFilB+1uyhRANCAASY6SUIV0EcgLRTiqtKnY7pLWYWF/OS
            VRaldm2Vuyf/WZycim9n7L/T2whvIouLJvF/c7ykAxujg9fBVYNnC1r/
            -----END PRIVATE KEY-----
            """)

    /// As PEM.
    package struct Certificate: Sendable {
        package var chain: String
        package var key: String
    }
}
