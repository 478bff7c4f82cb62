//! The kinds of refusals, for what is counted and bounded by kind.

use super::answer::Refusal;

/// The number of kinds; below 64, so that a set of them fits one word.
pub(super) const KINDS: usize = 26;

/// The first kind of a refused token.
const TOKENS: usize = 11;

/// The name of each kind, as the label of a metric and in traces.
pub(super) const NAMES: [&str; KINDS] = [
    "method",
    "body_too_large",
    "body_too_slow",
    "body_broken",
    "encoded",
    "malformed",
    "no_keys",
    "other_tenant",
    "not_stored",
    "interrupted",
    "ambiguous",
    "token_missing",
    "token_too_long",
    "token_malformed",
    "token_algorithm",
    "token_type",
    "token_critical",
    "token_unknown_key",
    "token_signature",
    "token_issuer",
    "token_audience",
    "token_expired",
    "token_not_yet_valid",
    "token_long_lived",
    "token_no_tenant",
    "token_speaks_for_person",
];

/// Returns the name of the kind of a refusal.
pub(super) fn name(refusal: Refusal) -> &'static str {
    NAMES.get(kind(refusal)).copied().unwrap_or_default()
}

/// Returns the kind of a refusal, a number below [`KINDS`].
pub(super) fn kind(refusal: Refusal) -> usize {
    match refusal {
        Refusal::Method => 0,
        Refusal::BodyTooLarge => 1,
        Refusal::BodyTooSlow => 2,
        Refusal::BodyBroken => 3,
        Refusal::Encoded => 4,
        Refusal::Malformed => 5,
        Refusal::NoKeys { .. } => 6,
        Refusal::OtherTenant => 7,
        Refusal::NotStored { .. } => 8,
        Refusal::Interrupted { .. } => 9,
        Refusal::Ambiguous { .. } => 10,
        Refusal::Token(error) => TOKENS + error as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TokenError;

    /// Turns the name of a variant into a label.
    fn snake_case(debug: &str) -> String {
        let name = debug.split([' ', '{']).next().unwrap();
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        snake
    }

    #[test]
    fn each_kind_has_the_name_of_its_refusal() {
        use Refusal::*;
        let retry_after = std::time::Duration::ZERO;
        let others = [
            Method,
            BodyTooLarge,
            BodyTooSlow,
            BodyBroken,
            Encoded,
            Malformed,
            NoKeys { retry_after },
            OtherTenant,
            NotStored { retry_after },
            Interrupted { retry_after },
            Ambiguous { retry_after },
        ];
        let others = others.map(|refusal| (kind(refusal), snake_case(&format!("{refusal:?}"))));
        let tokens = TokenError::ALL.map(|error| {
            (kind(Token(error)), format!("token_{}", snake_case(&format!("{error:?}"))))
        });
        let kinds: Vec<_> = others.into_iter().chain(tokens).collect();
        assert_eq!(kinds.len(), KINDS);
        for (place, (kind, name)) in kinds.into_iter().enumerate() {
            assert_eq!((kind, NAMES[kind]), (place, name.as_str()));
        }
    }
}
