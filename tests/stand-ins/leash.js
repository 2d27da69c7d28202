// Preloaded: a stand-in ends when its input does, which is when the test that started it is gone.
process.stdin.on("end", () => process.exit(0)).resume();
// Not by this alone: a program that has nothing else to do ends as ever.
process.stdin.unref?.();
