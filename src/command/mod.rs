//! The commands: one file each, and here how they are called and what their exit codes mean.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ColorChoice, FromArgMatches, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Env, Faults, ProcessEnv, parse_origin};
use crate::tls;

pub mod check;
mod completions;
mod console;
mod curl;
mod curlrc;
pub mod dev;
mod explain;
mod help;
mod login;
mod logout;
mod manual;
mod process;
mod providers;
mod schema;
mod serve;
mod session;
mod store;
mod text;
mod token;
mod watched;

/// Calls GitHub, Google, Microsoft or any OAuth 2.0 API for the holder of an Auth0 access token.
#[derive(Parser)]
#[command(name = "idp-proxy", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy
    Serve {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
    },
    /// Try the whole thing on this machine: a simulated tenant, demo providers, the real proxy in front
    Dev {
        /// Where the proxy listens; loopback only. With --tenant-only: what proxy.toml says
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Make one call, say whether it worked, and end
        #[arg(long)]
        once: bool,
        /// Have the proxy speak TLS, with a certificate of an authority made for this run
        #[arg(long)]
        tls: bool,
        /// Describe what runs as one JSON object
        #[arg(long)]
        json: bool,
        /// Have something go wrong: lost-answer=bitbucket, revoked=google, tenant-busy=30s, tenant-down=10s, slow=500ms
        #[arg(long = "fault", value_name = "NAME=VALUE", value_parser = dev::Mischief::parse)]
        faults: Vec<dev::Mischief>,
        /// Let pages of this origin use the proxy; with it, the application of examples/spa is to be found there
        #[arg(long = "origin", value_name = "URL", value_parser = parse_origin,
            default_values = ["http://127.0.0.1:3000", "http://localhost:3000"])]
        origins: Vec<String>,
        /// Run just the tenant and the providers, keep their state in DIR, and write a proxy.toml there for `serve`
        #[arg(long, value_name = "DIR", conflicts_with = "once")]
        tenant_only: Option<PathBuf>,
    },
    /// List the providers that there are presets for, or print one preset
    Providers {
        /// Print this one, as TOML for [providers.NAME]
        #[arg(value_name = "PRESET")]
        name: Option<String>,
        /// The list, or the preset's keys, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Look after the token store
    Store {
        #[command(subcommand)]
        action: store::Action,
    },
    /// Log in to a proxy, in a browser
    Login(login::Options),
    /// End a session
    Logout(logout::Options),
    /// Print an access token for the proxy, renewed if need be
    Token(token::Options),
    /// Call a provider with the real curl: idp-proxy curl github /user -- --silent --include
    Curl(curl::Options),
    /// Print a configuration for `curl -K -` that holds the token
    Curlrc(curlrc::Options),
    /// Say what would become of a request, step by step, without sending it
    Explain(explain::Arguments),
    /// Print a link that opens the console of the proxy that runs with this configuration: works once, for ten minutes
    Console {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
        /// The link as JSON
        #[arg(long)]
        json: bool,
    },
    /// Find every fault in the configuration, without starting
    Check {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
        /// A JSON list of the faults
        #[arg(long)]
        json: bool,
        /// Look at the tenant and the providers too, and say what to mend there
        #[arg(long)]
        online: bool,
    },
    /// Print the script by which a shell completes commands, options and providers' names
    Completions {
        /// Which shell
        shell: completions::Shell,
        #[arg(hide = true, last = true)]
        typed: Vec<String>,
    },
    /// Print the manual page
    Man,
    /// Print the JSON Schema of proxy.toml, by which editors complete and check it
    Schema,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to.
    Done,
    /// It failed while running.
    Failed,
    /// The usage or the configuration is bad.
    Misused,
    /// Nobody is logged in.
    LoginNeeded,
    /// The proxy, the tenant or a provider is out of reach.
    OutOfReach,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::LoginNeeded => 4,
            Self::OutOfReach => 5,
        }
    }
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    tls::install();
    // Left to itself, the parser would colour what goes into a pipe where CLICOLOR_FORCE is set.
    let is_seen = io::stdout().is_terminal() && io::stderr().is_terminal() && ProcessEnv.allows_color();
    let color = if is_seen { ColorChoice::Always } else { ColorChoice::Never };
    let matches = help::command_line().color(color).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let exit = match arguments.command {
        Command::Serve { config } => serve::run(&config, &ProcessEnv),
        Command::Dev { listen, once, tls, json, faults, origins, tenant_only } => {
            dev::run(&dev::Options { listen, once, tls, json, faults, origins, tenant_only })
        }
        Command::Providers { name, json } => providers::run(name.as_deref(), json, &mut io::stdout()),
        Command::Store { action } => store::run(action, &ProcessEnv),
        Command::Login(options) => login::run(&options, &ProcessEnv),
        Command::Logout(options) => logout::run(&options, &ProcessEnv),
        Command::Token(options) => token::run(&options, &ProcessEnv),
        Command::Curl(options) => curl::run(&options, &ProcessEnv),
        Command::Curlrc(options) => curlrc::run(&options, &ProcessEnv),
        Command::Explain(arguments) => explain::run(&arguments, &ProcessEnv, &mut io::stdout()),
        Command::Console { config, json } => {
            console::run(&config, json, &ProcessEnv, &mut io::stdout(), &mut io::stderr())
        }
        Command::Check { config, json, online } => {
            let color = io::stdout().is_terminal() && ProcessEnv.allows_color();
            let out: &mut dyn Write = &mut io::stdout();
            if online {
                check::run_online(&config, json, &ProcessEnv, Clock::system(), (out, color))
            } else {
                check::run(&config, json, &ProcessEnv, out, color)
            }
        }
        Command::Completions { shell, typed } => completions::run(shell, &typed, &mut io::stdout()),
        Command::Man => manual::run(&mut io::stdout()),
        Command::Schema => schema::run(&mut io::stdout()),
    };
    ExitCode::from(exit.code())
}

/// Tells a failure to whoever started the process.
fn complain(error: &io::Error) -> Exit {
    let _ = writeln!(io::stderr(), "error: {}", crate::telemetry::chain(error));
    // What the configuration asks for is there and is not what it says, such as a store with other keys.
    if error.kind() == io::ErrorKind::InvalidInput { Exit::Misused } else { Exit::Failed }
}

/// Tells the faults of a configuration to whoever started the process.
fn tell(faults: &Faults, env: &dyn Env) -> Exit {
    let color = io::stderr().is_terminal() && env.allows_color();
    let _ = write!(io::stderr(), "{}", faults.render(color));
    Exit::Misused
}
