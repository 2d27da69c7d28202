//! Parameters in the query of a target. What is not taken out stays byte for byte.

use std::borrow::Cow;

use super::{Names, Spelling};
use crate::percent;

/// The values of the parameters with one of these names, decoded, each with its name.
pub fn values<'a>(target: &'a str, names: &'a Names) -> impl Iterator<Item = (&'a str, Vec<u8>)> {
    let parameters = (!names.is_empty()).then(|| parameters(target)).into_iter().flatten();
    parameters.filter_map(|parameter| {
        let (spelt, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = names.find(&Spelling::of(spelt.bytes()))?;
        let spaced = value.replace('+', " ");
        Some((&**name, percent::decode(spaced.as_bytes()).into_owned()))
    })
}

/// Whether the target has a parameter with one of these names.
#[must_use]
pub fn has(target: &str, names: &Names) -> bool {
    !names.is_empty() && parameters(target).any(|parameter| is_named(parameter, names))
}

/// The target without the parameters that have one of these names.
#[must_use]
pub fn without<'target>(target: &'target str, names: &Names) -> Cow<'target, str> {
    if !has(target, names) {
        return Cow::Borrowed(target);
    }
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let mut rest = String::with_capacity(target.len());
    rest.push_str(path);
    for (index, parameter) in parameters(target).filter(|parameter| !is_named(parameter, names)).enumerate() {
        rest.push(if index == 0 { '?' } else { '&' });
        rest.push_str(parameter);
    }
    Cow::Owned(rest)
}

/// The target with `mask` in place of what the parameters with one of these names say.
#[must_use]
pub fn masked<'target>(target: &'target str, names: &Names, mask: &str) -> Cow<'target, str> {
    if !has(target, names) {
        return Cow::Borrowed(target);
    }
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let shown = |parameter: &str| match parameter.split_once('=') {
        Some((spelt, _)) if is_named(parameter, names) => format!("{spelt}={mask}"),
        Some(_) | None => parameter.to_owned(),
    };
    Cow::Owned(format!("{path}?{}", parameters(target).map(shown).collect::<Vec<_>>().join("&")))
}

fn parameters(target: &str) -> impl Iterator<Item = &str> {
    target.split_once('?').into_iter().flat_map(|(_, query)| query.split('&'))
}

fn is_named(parameter: &str, names: &Names) -> bool {
    let spelt = parameter.split_once('=').map_or(parameter, |(spelt, _)| spelt);
    names.find(&Spelling::of(spelt.bytes())).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_named_is_taken_out() {
        let names = Names::new(["access_token", "appsecret_time"]);
        for (target, rest) in [
            ("/me", "/me"),
            ("/me?", "/me?"),
            ("/me?a=1&&b=%2F+x&", "/me?a=1&&b=%2F+x&"),
            ("/me?access_token=t", "/me"),
            ("/me?access_token", "/me"),
            ("/me?access_token=t&a=1", "/me?a=1"),
            ("/me?a=1&access%5Ftoken=t&b=?&Access.Token[]=u", "/me?a=1&b=?"),
            ("/me?a=access_token=t&appsecret_time=1&access_tokens=2", "/me?a=access_token=t&access_tokens=2"),
            ("/access_token=t?x", "/access_token=t?x"),
        ] {
            assert_eq!(without(target, &names), rest, "{target}");
        }
    }

    #[test]
    fn only_what_is_named_is_masked() {
        let names = Names::new(["access_token"]);
        for (target, shown) in [
            ("/me?a=1&b", "/me?a=1&b"),
            ("/me?access_token=t", "/me?access_token=*"),
            ("/me?a=t&access%5Ftoken=t=t&&access_token", "/me?a=t&access%5Ftoken=*&&access_token"),
            ("https://a.example/me?access_token=t&b=?", "https://a.example/me?access_token=*&b=?"),
        ] {
            assert_eq!(masked(target, &names, "*"), shown, "{target}");
        }
    }

    #[test]
    fn values_are_decoded_one_by_one() {
        let names = Names::new(["method"]);
        let found: Vec<_> = values("/x?method=delete&a=method&%6Dethod=p%6Fst+&method", &names).collect();
        let of = |value: &str| ("method", value.as_bytes().to_vec());
        assert_eq!(found, [of("delete"), of("post "), of("")]);
    }

    proptest! {
        #[test]
        fn what_is_not_named_stays_in_its_order(query in "((a|b|%61|x\\[1\\]|\\+x|X)(=[a-z=?%2+]{0,3})?&?){0,6}") {
            let target = format!("/p?{query}");
            let rest = without(&target, &Names::new(["x"])).into_owned();
            prop_assert!(!has(&rest, &Names::new(["x"])));
            let kept: Vec<_> = parameters(&target).filter(|one| !is_named(one, &Names::new(["x"]))).collect();
            prop_assert_eq!(parameters(&rest).collect::<Vec<_>>(), kept);
        }
    }
}
