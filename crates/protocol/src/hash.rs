//! Hash that chooses shards.

/// Returns the 32-bit FNV-1a of a text, with which every version finds the same shard. <http://www.isthe.com/chongo/tech/comp/fnv/>
pub(crate) fn fnv_1a(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <http://www.isthe.com/chongo/src/fnv/test_fnv.c>
    #[test]
    fn hashes_are_those_of_the_reference() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv_1a(text.as_bytes()), hash, "{text}");
        }
    }
}
