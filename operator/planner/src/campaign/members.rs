//! Which wave is a target in?

use gotocloud_api::{
    CampaignSpec,
    campaign::{Targets, Wave},
    names,
    selector::{Selector, SelectorExt as _},
};
use std::collections::{BTreeMap, BTreeSet};

/// The waves of a campaign, made ready to be asked who is in them.
#[derive(Clone, Debug)]
pub struct Members {
    /// By place; `None` if it cannot be read.
    waves: Vec<Option<(Choice, Option<Choice>)>>,
}

#[derive(Clone, Debug)]
struct Choice {
    names: BTreeSet<String>,
    selector: Option<Selector>,
    cohort: Option<String>,
}

/// A selector cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the selector of wave {wave} cannot be read: {why}; its operators are In, NotIn, Exists and DoesNotExist")]
pub struct SelectorError {
    wave: String,
    why: String,
}

impl Members {
    /// The waves of that campaign.
    ///
    /// # Errors
    /// [`SelectorError`] where a selector cannot be read.
    pub fn new(spec: &CampaignSpec) -> Result<Self, SelectorError> {
        let (members, error) = Self::as_far_as_read(spec);
        error.map_or(Ok(members), Err)
    }

    /// The waves of that campaign, and the first selector that cannot be read: its wave has nobody.
    pub fn as_far_as_read(spec: &CampaignSpec) -> (Self, Option<SelectorError>) {
        let mut error = None;
        let waves = spec.waves.iter().map(|wave| match choices(wave) {
            Ok(choices) => Some(choices),
            Err(why) => {
                error.get_or_insert(SelectorError { wave: wave.name.clone(), why });
                None
            }
        });
        let waves = waves.collect();
        (Self { waves }, error)
    }

    /// Can all waves be read?
    pub fn is_whole(&self) -> bool {
        self.waves.iter().all(Option::is_some)
    }

    /// The waves, by their place, that name a target with this name and these labels.
    pub fn waves_of<'m>(
        &'m self,
        name: &'m str,
        labels: Option<&'m BTreeMap<String, String>>,
    ) -> impl Iterator<Item = usize> + 'm {
        self.waves.iter().enumerate().filter_map(move |(at, wave)| {
            let (within, without) = wave.as_ref()?;
            let is_in =
                within.takes(name, labels) && !without.as_ref().is_some_and(|without| without.takes(name, labels));
            is_in.then_some(at)
        })
    }

    /// The wave a target is in: the first that names it.
    pub fn wave_of(&self, name: &str, labels: Option<&BTreeMap<String, String>>) -> Option<usize> {
        self.waves_of(name, labels).next()
    }

    /// The names that a wave calls by name.
    pub fn named(&self, wave: usize) -> impl Iterator<Item = &str> {
        self.waves.get(wave).into_iter().flatten().flat_map(|(within, _)| within.names.iter().map(String::as_str))
    }
}

fn choices(wave: &Wave) -> Result<(Choice, Option<Choice>), String> {
    Ok((choice(&wave.targets)?, wave.exclude.as_ref().map(choice).transpose()?))
}

fn choice(targets: &Targets) -> Result<Choice, String> {
    let selector = targets.selector.clone().map(Selector::try_from).transpose().map_err(|error| error.to_string())?;
    Ok(Choice { names: targets.names.iter().cloned().collect(), selector, cohort: targets.cohort.clone() })
}

impl Choice {
    /// An empty selector takes all, as everywhere in Kubernetes; one that is not there takes none.
    fn takes(&self, name: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let none = BTreeMap::new();
        let labels = labels.unwrap_or(&none);
        self.names.contains(name)
            || self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
            || self.cohort.as_ref().is_some_and(|cohort| labels.get(names::LABEL_COHORT) == Some(cohort))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[allow(clippy::needless_pass_by_value)] // reads best with a literal
    fn members(waves: Value) -> Result<Members, SelectorError> {
        let spec = json!({"application": "app", "upgrade": {"release": "r"}, "waves": waves});
        Members::new(&serde_json::from_value(spec).unwrap())
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_target_is_in_the_first_wave_that_names_it_by_name_cohort_or_label() {
        let members = members(json!([
            {"name": "canary", "targets": {"names": ["a"]}},
            {"name": "pilots", "targets": {"cohort": "P1"}},
            {"name": "rest", "targets": {"selector": {}}, "exclude": {"names": ["z"]}},
        ]))
        .unwrap();
        let p1 = labels(&[("cohort", "P1")]);
        assert_eq!(members.wave_of("a", Some(&p1)), Some(0));
        assert_eq!(members.wave_of("b", Some(&p1)), Some(1));
        assert_eq!(members.wave_of("b", None), Some(2));
        assert_eq!(members.wave_of("z", None), None);
        assert_eq!(members.waves_of("a", Some(&p1)).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn expressions_select_as_they_do_in_kubernetes() {
        let members = members(json!([{"name": "w", "targets": {"selector":
            {"matchExpressions": [{"key": "size", "operator": "In", "values": ["small", "large"]}, {"key": "x", "operator": "DoesNotExist"}]}}}]))
        .unwrap();
        assert_eq!(members.wave_of("a", Some(&labels(&[("size", "small")]))), Some(0));
        assert_eq!(members.wave_of("a", Some(&labels(&[("size", "small"), ("x", "1")]))), None);
        assert_eq!(members.wave_of("a", None), None);
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_named() {
        let error = members(
            json!([{"name": "w", "targets": {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}}]),
        );
        assert!(error.unwrap_err().to_string().contains("selector of wave w"));
    }

    #[test]
    fn a_wave_that_cannot_be_read_has_nobody_and_the_others_have_theirs() {
        let spec = json!({"application": "app", "upgrade": {"release": "r"}, "waves": [
            {"name": "w", "targets": {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}},
            {"name": "x", "targets": {"names": ["a"]}},
        ]});
        let (members, error) = Members::as_far_as_read(&serde_json::from_value(spec).unwrap());
        assert_eq!((members.wave_of("a", None), members.wave_of("b", None)), (Some(1), None));
        assert!(error.is_some() && !members.is_whole());
    }
}
