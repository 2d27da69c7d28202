//! `idp-proxy completions`: a script for a shell, which asks this program what may come next. So providers are completed
//! by the names that `proxy.toml` gives them at that time; a script made once could not know them.

use std::io::{self, Write};

use clap::ValueEnum;

use super::{Exit, complain, help};

mod names;
mod words;

/// Whom completions are for.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
    /// The scripts themselves: what may stand in the place of the last word.
    #[value(hide = true)]
    Words,
}

/// `compgen -W` would expand the words, and so run what a file names; bash 3.2 has no `mapfile`.
const BASH: &str = r#"_idp_proxy() {
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    COMPREPLY+=("$word")
  done < <(idp-proxy completions words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)
}
complete -o default -F _idp_proxy idp-proxy
"#;

const ZSH: &str = r#"#compdef idp-proxy
_idp_proxy() {
  local -a found
  local line
  for line in "${(@f)$(idp-proxy completions words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("${${line//:/\\:}/$'\t'/:}")
  done
  if (( $#found )); then _describe idp-proxy found; else _files; fi
}
compdef _idp_proxy idp-proxy
"#;

const FISH: &str = r#"function __idp_proxy_words
  set -l typed (commandline -opc) (commandline -ct)
  set -l found (idp-proxy completions words -- $typed[2..] 2>/dev/null)
  if test -n "$found"
    printf '%s\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c idp-proxy -f -a '(__idp_proxy_words)'
"#;

/// Writes the script for `shell`, or what may stand in the place of the last of the words typed: a line for each, with
/// what it means behind a tab.
pub(super) fn run(shell: Shell, typed: &[String], out: &mut dyn Write) -> Exit {
    let written = match shell {
        Shell::Bash => out.write_all(BASH.as_bytes()),
        Shell::Zsh => out.write_all(ZSH.as_bytes()),
        Shell::Fish => out.write_all(FISH.as_bytes()),
        Shell::Words => write_words(typed, out),
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

fn write_words(typed: &[String], out: &mut dyn Write) -> io::Result<()> {
    for word in words::candidates(&help::command_line(), typed, names::known) {
        let meaning = word.meaning.lines().next().unwrap_or_default();
        writeln!(out, "{}\t{meaning}", word.text)?;
    }
    Ok(())
}
