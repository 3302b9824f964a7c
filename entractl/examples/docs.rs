//! Writes what is made from the code into the folder given: `entractl.8`, `entra.toml.5`, the example `entra.toml`, and
//! the completions `entractl.bash`, `_entractl` (zsh) and `entractl.fish`. Packaging runs it.

#![forbid(unsafe_code)]

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::CommandFactory;
use clap_complete::Shell;
use entractl::cli::Cli;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        return Err("usage: docs FOLDER".into());
    };
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("entractl.8"), entractl_man()?)?;
    fs::write(folder.join("entra.toml.5"), entra_core::config::man_page())?;
    fs::write(folder.join("entra.toml"), entra_core::config::example())?;
    completions(&folder)?;
    Ok(())
}

/// entractl(8): the command with every verb in one page, as an administrator reads it.
fn entractl_man() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).section("8").manual("entrad");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend_from_slice(b".SH VERBS\n");
    verbs(&command, "entractl", &mut page)?;
    page.extend_from_slice(
        b".SH EXIT STATUS\n\
          0 done, 1 the answer is no or it failed, 2 usage, 3 the daemon is not reachable, 4 the directory is not \
          reachable, 5 not permitted.\n\
          .SH FILES\n\
          .TP\n\\fI/etc/entra/entra.toml\\fR\nConfiguration, see \\fBentra.toml\\fR(5).\n\
          .TP\n\\fI/etc/krb5.keytab\\fR\nMachine keytab.\n\
          .TP\n\\fI/etc/krb5.conf.d/entra.conf\\fR\nKerberos settings that join writes and leave removes.\n\
          .TP\n\\fI/etc/entra/join.json\\fR\nWhat join changed, so that leave undoes exactly that.\n\
          .SH SEE ALSO\n\
          \\fBentrad\\fR(8), \\fBentra.toml\\fR(5), \\fBnss_entra\\fR(8), \\fBpam_entra\\fR(8), \\fBadcli\\fR(8)\n",
    );
    Ok(page)
}

/// The sections of the verbs below `command`, and of theirs.
fn verbs(command: &clap::Command, name: &str, page: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    for verb in command.get_subcommands() {
        let name = format!("{name} {}", verb.get_name());
        if verb.has_subcommands() {
            verbs(verb, &name, page)?;
            continue;
        }
        page.extend_from_slice(format!(".SS {name}\n").as_bytes());
        // The options that every verb has stand above.
        let shown = verb.clone().mut_args(|argument| {
            let global = argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version");
            argument.hide(global)
        });
        let man = clap_mangen::Man::new(shown);
        for part in [clap_mangen::Man::render_synopsis_section, clap_mangen::Man::render_description_section] {
            append(page, |text| part(&man, text))?;
        }
        append(page, |text| man.render_options_section(text))?;
    }
    Ok(())
}

/// Renders a part without its section header and its preamble: it stands below a verb's own header.
fn append(
    page: &mut Vec<u8>,
    render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let mut text = Vec::new();
    render(&mut text)?;
    let text = String::from_utf8(text)?;
    page.extend_from_slice(b".PP\n");
    let kept = text.lines().filter(|line| ![".SH", ".ie ", ".el "].iter().any(|macro_| line.starts_with(macro_)));
    for line in kept {
        page.extend_from_slice(line.as_bytes());
        page.push(b'\n');
    }
    Ok(())
}

fn completions(folder: &Path) -> Result<(), Box<dyn Error>> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "entractl", OsString::from(folder))?;
    }
    Ok(())
}
