package import GRDB
import Glibc

/// The SQLite database of one service, shared by its replicas on this host.
///
/// It is the file `service.sqlite` in the service's data folder; replicas write one after the other (WAL, immediate transactions).
package enum ServiceDatabase {
    /// Opens the database, made and migrated if need be.
    ///
    /// - Throws: when the file can't be made or is no database of ours.
    package static func open(folder: String, migrations: DatabaseMigrator) throws -> DatabasePool {
        var configuration = Configuration()
        // Several replicas start at once, and each of them migrates.
        configuration.busyMode = .timeout(10)
        return try whileAlone(in: folder) {
            let pool = try DatabasePool(path: "\(folder)/service.sqlite", configuration: configuration)
            try migrations.migrate(pool)
            return pool
        }
    }

    /// One process at a time: SQLite does not wait for another's lock when it turns to WAL, and a migration looks at what is there before
    /// it takes the database's own lock.
    private static func whileAlone<Result>(in folder: String, _ work: () throws -> Result) throws -> Result {
        let lock = Glibc.open("\(folder)/migration.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(lock) }
        guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
            throw DatabaseError(message: "can't lock \(folder): \(String(cString: strerror(errno)))")
        }
        return try work()
    }
}
