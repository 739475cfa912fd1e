// Runs Azurite in this process and ends it when the pipe on standard input closes, so that it never outlives the process
// that started it. SIGTERM, not exit: Azurite saves its tables and queues on that signal.
//   node launcher.cjs <azurite.js> [Azurite's own arguments]
const [, , azurite, ...rest] = process.argv;
process.argv = [process.argv[0], azurite, ...rest];
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.on("error", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
// The pipe alone must not keep a process alive whose servers have closed.
process.stdin.unref();
require(azurite);
