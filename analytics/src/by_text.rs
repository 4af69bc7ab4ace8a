//! Places by text: a name that stands in thousands of sums is looked up by its address before its characters.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Where a text's things are, by the text.
///
/// Sums that were read together share each name, so its address tells it in most cases; what is behind another address is
/// looked up by its characters once.
#[derive(Debug, Default)]
pub(crate) struct ByText<'a> {
    by_address: HashMap<(usize, usize), usize, BuildHasherDefault<AddressHasher>>,
    by_text: HashMap<&'a str, usize>,
}

impl<'a> ByText<'a> {
    /// Returns the place of a text.
    pub(crate) fn get(&mut self, text: &'a str) -> Option<usize> {
        let address = (text.as_ptr() as usize, text.len());
        if let Some(place) = self.by_address.get(&address) {
            return Some(*place);
        }
        let place = *self.by_text.get(text)?;
        self.by_address.insert(address, place);
        Some(place)
    }

    /// Sets the place of a text that had none.
    pub(crate) fn insert(&mut self, text: &'a str, place: usize) {
        self.by_address.insert((text.as_ptr() as usize, text.len()), place);
        self.by_text.insert(text, place);
    }
}

/// Hashes addresses, which need no protection from who chooses them: nobody can.
#[derive(Debug, Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        // Low bits of addresses are alike; the high ones of the product are not.
        self.0.rotate_left(32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_place_wherever_they_lie() {
        let (one, same, other) = ("name".to_owned(), "name".to_owned(), "other".to_owned());
        let mut places = ByText::default();
        assert_eq!(places.get(&one), None);
        places.insert(&one, 7);
        assert_eq!((places.get(&one), places.get(&same), places.get(&same)), (Some(7), Some(7), Some(7)));
        // The beginning of a text lies at its address.
        assert_eq!((places.get(&other), places.get(&one[..2])), (None, None));
    }
}
