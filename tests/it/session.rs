//! At the shell: logged in once, and every call is made as who one is.

use idp_proxy::command::dev::tenant::TenantSettings;

use crate::support::shell::{Ran, Shell};
use crate::support::{Rig, Upstream, rig};

mod browser;
mod curl;
mod curlrc;
mod login;
mod logout;
mod renewal;

/// A proxy in front of GitHub, where nobody waits long between two polls.
async fn rig_with(github: &Upstream) -> Rig {
    let login = format!("client_id = \"{}\"", TenantSettings::default().native.client_id);
    rig().provider("github", github).with("login", &login).tenant(|tenant| tenant.device_interval = 1).start().await
}

/// The same, and somebody who is logged in.
async fn logged_in(github: &Upstream) -> (Rig, Shell) {
    let rig = rig_with(github).await;
    let shell = Shell::of(&rig);
    let ran = shell.log_in().await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    (rig, shell)
}

/// A command that said this on stderr and nothing on stdout.
fn said(code: i32, err: &str) -> Ran {
    Ran { code: Some(code), out: String::new(), err: format!("{err}\n") }
}
