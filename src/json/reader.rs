//! The grammar of RFC 8259, read in one pass.

use std::borrow::Cow;

use super::{
    Value,
    keys::{self, Case},
};

/// The most levels of nesting: the bound of the stack that a text can take.
const MAX_DEPTH: usize = 127;

/// The numbers that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Those within the range of a double. Beyond it parsers disagree.
    Finite,
    Any,
}

/// Reads a text from its start. Each method leaves the position behind what it read, and returns
/// `None` when the text there is something else.
pub(super) struct Reader<'t> {
    text: &'t str,
    position: usize,
    numbers: Numbers,
    /// The keys of the nested objects that are being read, the outer ones first.
    keys: Vec<Cow<'t, str>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, numbers: Numbers) -> Self {
        Self { text, position: 0, numbers, keys: Vec::new() }
    }

    /// Reads one object with white space around it. Its own keys are not compared.
    pub(super) fn whole_object(mut self) -> Option<Vec<(Cow<'t, str>, Value<'t>)>> {
        // As many as a notification or its claims have: nearly always one allocation.
        let mut members = Vec::with_capacity(8);
        self.skip_space();
        self.object(MAX_DEPTH, |_, key, value| members.push((key, value)))?;
        self.end()?;
        Some(members)
    }

    /// Reads one array with white space around it.
    pub(super) fn whole_array(mut self) -> Option<Vec<Value<'t>>> {
        let mut items = Vec::new();
        self.skip_space();
        self.array(MAX_DEPTH, |item| items.push(item))?;
        self.end()?;
        Some(items)
    }

    /// Reads a value of which at most `depth` levels are nested.
    fn value(&mut self, depth: usize) -> Option<Value<'t>> {
        let start = self.position;
        match self.peek()? {
            b'"' => self.string().map(Value::String),
            b'{' => {
                self.skip_object(depth)?;
                self.since(start).map(Value::Object)
            }
            b'[' => {
                self.array(depth, drop)?;
                self.since(start).map(Value::Array)
            }
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'n' => self.literal("null", Value::Null),
            _ => self.number().map(Value::Number),
        }
    }

    /// Reads an object and refuses repeated keys.
    fn skip_object(&mut self, depth: usize) -> Option<()> {
        let outer = self.keys.len();
        self.object(depth, |this, key, _| this.keys.push(key))?;
        let keys = self.keys.get(outer..)?.iter().map(|key| &**key);
        if keys::are_repeated(keys, Case::Exact) {
            return None;
        }
        self.keys.truncate(outer);
        Some(())
    }

    fn object(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, Cow<'t, str>, Value<'t>),
    ) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.expect(b'{')?;
        self.skip_space();
        if self.skips(b'}') {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            let value = self.value(depth)?;
            member(self, key, value);
            if !self.has_more(b'}')? {
                return Some(());
            }
        }
    }

    fn array(&mut self, depth: usize, mut item: impl FnMut(Value<'t>)) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.expect(b'[')?;
        self.skip_space();
        if self.skips(b']') {
            return Some(());
        }
        loop {
            item(self.value(depth)?);
            if !self.has_more(b']')? {
                return Some(());
            }
        }
    }

    /// Reads a comma, or the bracket that ends an object or an array.
    fn has_more(&mut self, end: u8) -> Option<bool> {
        self.skip_space();
        match self.next()? {
            b',' => {
                self.skip_space();
                Some(true)
            }
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<&'t str> {
        let start = self.position;
        self.skips(b'-');
        if !self.skips(b'0') {
            self.digits()?;
        }
        if self.skips(b'.') {
            self.digits()?;
        }
        let has_exponent = self.skips(b'e') || self.skips(b'E');
        if has_exponent {
            let _sign = self.skips(b'+') || self.skips(b'-');
            self.digits()?;
        }
        let number = self.since(start)?;
        let may_be_infinite = has_exponent || number.len() > f64::MAX_10_EXP as usize;
        if may_be_infinite && self.numbers == Numbers::Finite {
            return number.parse().is_ok_and(f64::is_finite).then_some(number);
        }
        Some(number)
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.advance(count);
        (count > 0).then_some(())
    }

    fn literal(&mut self, name: &str, value: Value<'t>) -> Option<Value<'t>> {
        let is_it = self.rest().starts_with(name.as_bytes());
        self.advance(name.len());
        is_it.then_some(value)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.advance(1);
        }
    }

    fn end(&mut self) -> Option<()> {
        self.skip_space();
        self.rest().is_empty().then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.advance(1);
        Some(byte)
    }

    /// Reads `byte` if it is next, and returns whether it was.
    fn skips(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.advance(usize::from(is_next));
        is_next
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.skips(byte).then_some(())
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.position += bytes;
    }

    /// Returns the text that was read since `start`.
    pub(super) fn since(&self, start: usize) -> Option<&'t str> {
        self.text.get(start..self.position)
    }

    pub(super) fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }
}
