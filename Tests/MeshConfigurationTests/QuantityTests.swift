import MeshConfiguration
import MeshModel
import Testing

@Suite struct QuantityTests {
    @Test func durations() {
        #expect(Quantity.duration("250ms") == .milliseconds(250))
        #expect(Quantity.duration("2s") == .seconds(2))
        #expect(Quantity.duration("1.5s") == .milliseconds(1500))
        #expect(Quantity.duration("5m") == .seconds(300))
        #expect(Quantity.duration("24h") == .seconds(86_400))
        #expect(Quantity.duration("999999h") == .seconds(999_999 * 3600))
        for text in ["", "5", "s", "5 s", "-5s", "5d", "5S", "1.s", ".5s", "1e3s", "9999999999s", "1000000h", "5sm"] {
            #expect(Quantity.duration(text) == nil, "\(text)")
        }
    }

    @Test func durationsAreWrittenAsTheyAreRead() {
        for text in ["250ms", "2s", "90s", "5m", "24h", "1500ms", "20us", "0s"] {
            #expect(Quantity.duration(text)?.configurationText == text)
        }
    }

    @Test func sizesSharesAndRates() {
        #expect(Quantity.size("512KB") == 512_000)
        #expect(Quantity.size("64MiB") == 64 << 20)
        #expect(Quantity.size("1.5GiB") == 3 << 29)
        #expect(Quantity.size("10B") == 10)
        #expect(Quantity.size("10") == nil)
        #expect(Quantity.size("10kb") == nil)
        #expect(Quantity.percentage("20%") == 0.2)
        #expect(Quantity.percentage("101%") == nil)
        #expect(Quantity.rate("200/s") == 200)
        #expect(Quantity.rate("30/m") == 0.5)
        #expect(Quantity.rate("200") == nil)
    }

    @Test func urls() {
        let plain = MeshURL("http://example.com")
        #expect(plain?.authority == "example.com")
        #expect(plain?.port == 80)
        #expect(plain?.basePath == nil)
        let full = MeshURL("https://user:word@[::1]:8443/a/b/")
        #expect(full?.host == "::1")
        #expect(full?.authority == "[::1]:8443")
        #expect(full?.basePath == "/a/b")
        #expect(full?.userInformation == "user:word")
        for text in ["", "http://", "ftp://a", "http://a:b", "http://a:70000", "http://a/?q", "http://a b", "http://[::1", "//a"] {
            #expect(MeshURL(text) == nil, "\(text)")
        }
    }
}
