//! Command lines as text that a shell can run again.

/// `argument`, quoted for a shell if necessary.
pub fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.into()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// The words of `command`, without their quotes. A command that is not valid shell text is one word.
pub fn words(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_else(|| vec![command.into()])
}

/// `command` without the options `flags` and their values. A command that is not valid shell text stays as it is.
pub fn without(command: &str, flags: &[&str]) -> String {
    let Some(words) = shlex::split(command) else { return command.into() };
    let (mut kept, mut words) = (Vec::new(), words.into_iter());
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if !flags.contains(&name) {
            kept.push(quote(&word));
        } else if name == word {
            words.next();
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_of_a_command() {
        let command = "sim --all-layers --shard 1/2 --json=a.json --seed 3 --journal 'my journal' --model 'it'\\''s'";
        let kept = "sim --all-layers --seed 3 --model 'it'\\''s'";
        assert_eq!(without(command, &["--shard", "--json", "--journal"]), kept);
        assert_eq!(without("sim 'open", &["--json"]), "sim 'open");
    }
}
