//! What does `${establishment.timeZone}` in an environment value become?

use crate::plan::Refusal;
use gotocloud_api::conditions::Reason;
use std::collections::BTreeMap;

/// The variables there are, with what each stands for. `${endpoint.NAME}` comes on top of them.
pub const VARIABLES: [(&str, &str); 14] = [
    ("application", "name of the Application"),
    ("establishment", "name of the Establishment"),
    ("establishment.displayName", "its name for people"),
    ("establishment.uai", "its national code; empty where it is not given"),
    ("establishment.timeZone", "its IANA time zone"),
    ("establishment.identityProvider", "address of its OpenID Connect issuer; empty where it is not given"),
    ("instance", "name of the Instance"),
    ("instance.stage", "its stage"),
    ("instance.environment", "its environment"),
    ("instance.host", "its host name"),
    ("instance.url", "its address"),
    ("platform", "name of the Platform"),
    ("platform.dnsZone", "its DNS zone"),
    ("release.version", "the version that runs"),
];

/// Prefix of the variables that give the address of the establishment's instance of another application.
pub const ENDPOINT_PREFIX: &str = "endpoint.";

/// The values of the variables for one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Value of each variable.
    pub values: BTreeMap<String, String>,
}

impl Scope {
    /// `text` with every `${NAME}` replaced by its value and every `$${` by `${`. `place` names the text in a refusal.
    pub fn expand(&self, text: &str, place: &str) -> Result<String, Refusal> {
        let refuse = |message: String| Refusal::new(Reason::UnknownVariable, message);
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(literal) = before.strip_suffix('$') {
                expanded.push_str(literal);
                expanded.push_str("${");
                rest = &from[2..];
                continue;
            }
            expanded.push_str(before);
            let Some(end) = from.find('}') else {
                return Err(refuse(format!(
                    "{place}: \"${{\" is not closed by \"}}\"; write $${{ for the two characters themselves"
                )));
            };
            let name = &from[2..end];
            let value = self.values.get(name).ok_or_else(|| refuse(self.unknown(name, place)))?;
            expanded.push_str(value);
            rest = &from[end + 1..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn unknown(&self, name: &str, place: &str) -> String {
        if let Some(peer) = name.strip_prefix(ENDPOINT_PREFIX) {
            let known: Vec<_> = self.values.keys().filter_map(|key| key.strip_prefix(ENDPOINT_PREFIX)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return format!(
                "{place}: ${{{name}}} is not known: this establishment has no instance of {peer} with an address yet \
                 (it has: {known})"
            );
        }
        let known: Vec<_> = VARIABLES.iter().map(|(name, _)| *name).collect();
        format!("{place}: there is no variable ${{{name}}}; there are {} and endpoint.APPLICATION", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope() -> Scope {
        Scope {
            values: [("instance".to_owned(), "a".to_owned()), ("endpoint.peer".to_owned(), "https://p".to_owned())]
                .into(),
        }
    }

    #[test]
    fn a_variable_becomes_its_value() {
        assert_eq!(scope().expand("<${instance}> at ${endpoint.peer}", "web.X").unwrap(), "<a> at https://p");
    }

    #[test]
    fn two_dollars_stand_for_the_characters_themselves() {
        assert_eq!(scope().expand("$${instance} $ {}", "web.X").unwrap(), "${instance} $ {}");
    }

    #[test]
    fn an_unknown_variable_is_refused_with_its_name_and_the_list() {
        let refusal = scope().expand("${institute}", "web.X").unwrap_err();
        assert!(refusal.message.contains("web.X: there is no variable ${institute}"), "{refusal}");
        assert!(VARIABLES.iter().all(|(name, _)| refusal.message.contains(name)), "{refusal}");
    }

    #[test]
    fn an_unknown_endpoint_is_refused_with_those_there_are() {
        let refusal = scope().expand("${endpoint.other}", "web.X").unwrap_err();
        assert!(refusal.message.contains("no instance of other"), "{refusal}");
        assert!(refusal.message.contains("(it has: peer)"), "{refusal}");
    }

    #[test]
    fn an_unclosed_variable_is_refused() {
        assert!(scope().expand("${instance", "web.X").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = scope().expand(&text, "web.X");
        }

        #[test]
        fn a_text_without_variables_stays_as_it_is(text in "[^$]*") {
            prop_assert_eq!(scope().expand(&text, "web.X").unwrap(), text);
        }
    }
}
