import Foundation
import Logging
import MeshAdminAPI
import MeshModel
import MeshSupervision

/// `mesh up --watch`: services follow their executables.
extension Daemon {
    private static let lookEvery = Timespan.milliseconds(250)

    /// Looks after the executables for as long as it is asked to, and deploys the services whose executable has changed.
    func setWatching(_ isWanted: Bool) {
        watching?.cancel()
        watching = nil
        guard isWanted else { return }
        logger.info("services are replaced when their executables change")
        watching = Task {
            var watch = ExecutableWatch()
            while !Task.isCancelled {
                let services = watchedFiles()
                let sights = Dictionary(uniqueKeysWithValues: services.keys.map { ($0, ExecutableWatch.Sight(path: $0)) })
                let changed = watch.saw(sights, SystemClock.now())
                let labels = Set(changed.flatMap { services[$0] ?? [] }).sorted()
                if !labels.isEmpty { await followExecutables(of: labels) }
                try? await SystemClock.sleep(until: SystemClock.now() + Self.lookEvery)
            }
        }
    }

    /// The labels of the groups that run a file, by its path.
    private func watchedFiles() -> [String: [String]] {
        guard let applied else { return [:] }
        var files: [String: [String]] = [:]
        for group in applied.deployment.groups {
            let spec = group.spec("")
            let path = applied.source.environment["PATH"]
            for file in BuildCatalog.files(of: group.executable, Array(spec.arguments.dropFirst()), folder: spec.workingFolder, path: path)
            {
                files[file, default: []].append(group.label)
            }
        }
        return files
    }

    private func followExecutables(of labels: [String]) async {
        logger.info("\(labels.joined(separator: ", ")): another executable")
        for await event in change(ChangeRequest(.deploy, services: labels)) {
            switch event {
            case .finished(let result): logger.info("\(labels.joined(separator: ", ")): \(result.changed ? "replaced" : "the same build")")
            case .failed(let failure): logger.error("\(failure.service ?? labels.joined(separator: ", ")): \(failure.reason)")
            case .check, .control, .change, .tier, .stage, .warning: break
            }
        }
    }
}

extension ExecutableWatch.Sight {
    /// Nil where there is no such file.
    fileprivate init?(path: String) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return nil }
        self.init(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            changedAt: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
        // A lease for reading is refused while anybody has the file open for writing; other refusals say nothing.
        let code = fcntl(file, Self.setLease, Int32(F_RDLCK)) == 0 ? 0 : errno
        isBeingWritten = code == EAGAIN
        if code == 0 { _ = fcntl(file, Self.setLease, Int32(F_UNLCK)) }
    }

    /// `F_SETLEASE` of <linux/fcntl.h>.
    private static let setLease: Int32 = 1024
}
