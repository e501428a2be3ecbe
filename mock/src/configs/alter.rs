//! Changes of settings: one at a time, or all at once.
//!
//! Sources: KIP-133 (all at once), KIP-339 (one at a time).

use ottla_protocol::error_code::ErrorCode;

use super::{Setting, Type, Values, list};
use crate::cluster::Refusal;

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: String,
    /// 0 sets, 1 goes back to the default, 2 appends to a list, 3 takes from it.
    pub(crate) operation: i8,
    pub(crate) value: Option<String>,
}

/// The settings after these changes.
pub(crate) fn apply(
    before: &Values,
    changes: &[Change],
    setting_of: impl Fn(&str) -> Option<&'static Setting>,
    current: impl Fn(&str) -> String,
) -> Result<Values, Refusal> {
    let mut after = before.clone();
    for (index, change) in changes.iter().enumerate() {
        let name = &change.name;
        if changes[..index].iter().any(|other| other.name == *name) {
            let text = format!("Error due to duplicate config keys: {name}");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
        }
        if change.operation == 1 {
            after.remove(name);
            continue;
        }
        let Some(value) = &change.value else {
            return Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                format!("Null value not supported for : {name}"),
            ));
        };
        let setting = setting_of(name);
        let value = match change.operation {
            0 => value.clone(),
            operation @ (2 | 3) => {
                if !setting.is_some_and(|setting| matches!(setting.kind, Type::List(_))) {
                    let verb = if operation == 2 { "append to" } else { "subtract from" };
                    let text = format!("Can't {verb} configuration {name}: it is not a list");
                    return Err(Refusal::new(ErrorCode::INVALID_CONFIG, text));
                }
                let current = after.get(name).cloned().unwrap_or_else(|| current(name));
                let mut elements: Vec<&str> = list(&current).collect();
                match operation {
                    2 => elements
                        .extend(list(value).filter(|element| !list(&current).any(|known| known == *element))),
                    _ => elements.retain(|known| !list(value).any(|element| element == *known)),
                }
                elements.join(",")
            }
            operation => {
                let text = format!("Unknown operation {operation} on configuration {name}");
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
            }
        };
        if let Some(setting) = setting {
            setting.check(&value).map_err(|error| Refusal::new(ErrorCode::INVALID_CONFIG, error))?;
        }
        after.insert(name.clone(), value);
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::super::topic_setting;
    use super::*;

    fn change(name: &str, operation: i8, value: Option<&str>) -> Change {
        Change { name: name.to_owned(), operation, value: value.map(str::to_owned) }
    }

    fn applied(changes: &[Change]) -> Result<Vec<(String, String)>, ErrorCode> {
        let before = Values::from([("retention.ms".to_owned(), "5".to_owned())]);
        let current = |name: &str| topic_setting(name).map_or("", |setting| setting.default).to_owned();
        apply(&before, changes, topic_setting, current)
            .map(|after| after.into_iter().collect())
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_change_touches_nothing_but_its_setting() {
        let after = applied(&[change("cleanup.policy", 2, Some("compact")), change("retention.ms", 1, None)]);
        assert_eq!(after, Ok(vec![("cleanup.policy".to_owned(), "delete,compact".to_owned())]));
        let after = applied(&[change("cleanup.policy", 3, Some("delete"))]);
        let left =
            [("cleanup.policy".to_owned(), String::new()), ("retention.ms".to_owned(), "5".to_owned())];
        assert_eq!(after, Ok(left.to_vec()));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_kafkas_codes() {
        assert_eq!(applied(&[change("retention.ms", 0, Some("x"))]), Err(ErrorCode::INVALID_CONFIG));
        assert_eq!(applied(&[change("retention.ms", 2, Some("1"))]), Err(ErrorCode::INVALID_CONFIG));
        assert_eq!(applied(&[change("retention.ms", 0, None)]), Err(ErrorCode::INVALID_REQUEST));
        let twice = [change("retention.ms", 0, Some("1")), change("retention.ms", 1, None)];
        assert_eq!(applied(&twice), Err(ErrorCode::INVALID_REQUEST));
    }
}
