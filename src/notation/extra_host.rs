//! `--add-host`.

use std::str::FromStr;

use launch::{ExtraHost, HostAddress};

use super::Invalid;

/// `NAME:ADDRESS` or `NAME=ADDRESS`, where `host-gateway` is an address, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHostArg(pub ExtraHost);

impl FromStr for ExtraHostArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let (name, address) = given.split_once([':', '=']).ok_or_else(|| {
            Invalid::new("takes NAME:ADDRESS or NAME:host-gateway, as in db:10.0.0.7")
        })?;
        // It becomes a word of a line of /etc/hosts.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name) {
            return Err(Invalid::new(
                "its name takes 1 to 253 letters, digits, '-', '.' or '_'",
            ));
        }
        let bare = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'));
        let address = match bare.unwrap_or(address) {
            "host-gateway" => HostAddress::Gateway,
            address => HostAddress::Address(
                address
                    .parse()
                    .map_err(|_| Invalid::new("its address is an IP address or host-gateway"))?,
            ),
        };
        Ok(Self(ExtraHost {
            name: name.to_owned(),
            address,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_and_an_address_are_read_as_docker_reads_them() {
        let address = |text: &str| Some(HostAddress::Address(text.parse().unwrap()));
        for (given, expected) in [
            ("db:10.0.0.7", address("10.0.0.7")),
            ("db=10.0.0.7", address("10.0.0.7")),
            ("db:::1", address("::1")),
            ("db:[::1]", address("::1")),
            ("db=::1", address("::1")),
            ("db:host-gateway", Some(HostAddress::Gateway)),
            ("db", None),
            ("db:", None),
            (":10.0.0.7", None),
            ("d b:10.0.0.7", None),
            ("db\n:10.0.0.7", None),
            ("db:10.0.0", None),
            ("db:gateway", None),
        ] {
            let host = given.parse::<ExtraHostArg>().ok().map(|arg| arg.0);
            assert_eq!(host.map(|host| host.address), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_or_gives_two_words(given: String) {
            if let Ok(ExtraHostArg(host)) = given.parse() {
                prop_assert_eq!(host.name.split_whitespace().count(), 1);
            }
        }
    }
}
