//! What goes into a Secret that the operator makes?

use crate::objects::{Object, ObjectKey};
use std::collections::BTreeMap;

/// A Secret to see to. What is generated is made once and kept for good; the rest follows the templates.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretRequest {
    /// The object, without its data.
    pub object: Object,
    /// Keys whose values are made once, with how many letters and digits.
    pub generated: BTreeMap<String, usize>,
    /// Keys whose values are texts in which `{KEY}` stands for the generated value of `KEY`.
    pub templates: BTreeMap<String, String>,
}

impl SecretRequest {
    /// Which object.
    pub fn key(&self) -> &ObjectKey {
        &self.object.key
    }

    /// What is asked, as a hash; it tells nothing of what is generated.
    pub fn fingerprint(&self) -> String {
        crate::fingerprint::of(&(&self.object.manifest, &self.generated, &self.templates))
    }

    /// The Secret's content, given what it holds today and where letters and digits come from.
    pub fn content(
        &self,
        today: &BTreeMap<String, String>,
        mut letters_and_digits: impl FnMut(usize) -> String,
    ) -> BTreeMap<String, String> {
        let mut content: BTreeMap<String, String> = self
            .generated
            .iter()
            .map(|(key, &length)| {
                let kept = today.get(key).filter(|value| !value.is_empty()).cloned();
                (key.clone(), kept.unwrap_or_else(|| letters_and_digits(length)))
            })
            .collect();
        let filled = self.templates.iter().map(|(key, template)| {
            let value =
                content.iter().fold(template.clone(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value));
            (key.clone(), value)
        });
        let filled: Vec<_> = filled.collect();
        content.extend(filled);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Kind;

    fn request() -> SecretRequest {
        SecretRequest {
            object: Object { key: ObjectKey::new(Kind::Secret, "gtc-a", "db"), manifest: serde_json::json!({}) },
            generated: [("password".to_owned(), 4)].into(),
            templates: [("uri".to_owned(), "pg://a:{password}@host/a".to_owned())].into(),
        }
    }

    #[test]
    fn a_password_is_made_once_and_put_where_it_is_needed() {
        let first = request().content(&BTreeMap::new(), |length| "x".repeat(length));
        assert_eq!(first["password"], "xxxx");
        assert_eq!(first["uri"], "pg://a:xxxx@host/a");
        let second = request().content(&first, |_| "another".into());
        assert_eq!(second, first);
    }

    #[test]
    fn a_changed_template_keeps_the_password() {
        let first = request().content(&BTreeMap::new(), |length| "x".repeat(length));
        let mut moved = request();
        moved.templates.insert("uri".into(), "pg://a:{password}@elsewhere/a".into());
        assert_eq!(moved.content(&first, |_| "another".into())["uri"], "pg://a:xxxx@elsewhere/a");
    }
}
