extension KeyedDecodingContainer {
    /// Reads a value, or takes the default where the key is missing.
    ///
    /// Old instances read what a newer daemon writes and the other way round, so that a missing key is never an error here.
    package func decode<Value: Decodable>(_ key: Key, default value: @autoclosure () -> Value) throws -> Value {
        try decodeIfPresent(Value.self, forKey: key) ?? value()
    }
}
