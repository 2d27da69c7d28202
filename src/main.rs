//! The binary: arguments in, exit code out.

use std::process::ExitCode;

/// What is kept per user is allocated between things that live for a request. glibc's allocator leaves half of that
/// memory as holes (1,315 bytes a user where this one has 660), and needs more time for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    idp_proxy::command::main()
}
