//! Does a binary need anything but the kernel?

use anyhow::Context as _;

const PROGRAM_HEADER_INTERPRETER: u32 = 3;

/// The dynamic linker that a 64-bit little-endian ELF binary asks for; none where it is static.
pub fn interpreter(binary: &[u8]) -> anyhow::Result<Option<String>> {
    anyhow::ensure!(binary.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF binary");
    let table = number(binary, 32, 8)?;
    let entry_size = number(binary, 54, 2)?;
    let entries = number(binary, 56, 2)?;
    for index in 0..entries {
        let entry = table + index * entry_size;
        if number(binary, entry, 4)? != PROGRAM_HEADER_INTERPRETER as usize {
            continue;
        }
        let (offset, length) = (number(binary, entry + 8, 8)?, number(binary, entry + 32, 8)?);
        let name =
            offset.checked_add(length).and_then(|end| binary.get(offset..end)).context("ELF binary cut short")?;
        return Ok(Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()));
    }
    Ok(None)
}

/// The little-endian number of `width` bytes at `offset`.
fn number(binary: &[u8], offset: usize, width: usize) -> anyhow::Result<usize> {
    let bytes = offset.checked_add(width).and_then(|end| binary.get(offset..end)).context("ELF binary cut short")?;
    let value = bytes.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    usize::try_from(value).context("ELF binary out of range")
}

#[cfg(test)]
pub mod tests {
    use super::interpreter;

    /// The smallest ELF binary that has a program header of type `kind` over the bytes of `segment`.
    pub fn binary(kind: u8, segment: &[u8]) -> Vec<u8> {
        let mut binary = vec![0; 64 + 56];
        binary[..6].copy_from_slice(b"\x7fELF\x02\x01");
        binary[32] = 64; // where the program headers are
        binary[54] = 56; // the size of one
        binary[56] = 1; // how many
        binary[64] = kind;
        binary[64 + 8] = 120; // where the segment is
        binary[64 + 32] = u8::try_from(segment.len()).unwrap(); // how long it is
        binary.extend_from_slice(segment);
        binary
    }

    #[test]
    fn a_binary_with_an_interpreter_is_dynamic() {
        let dynamic = binary(3, b"/lib64/ld-linux-x86-64.so.2\0");
        assert_eq!(interpreter(&dynamic).unwrap().as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    }

    #[test]
    fn a_binary_without_one_is_static() {
        assert_eq!(interpreter(&binary(1, b"code")).unwrap(), None);
    }

    #[test]
    fn what_is_no_binary_is_an_error_and_no_panic() {
        assert!(interpreter(b"#!/bin/sh\n").is_err());
        let whole = binary(3, b"/lib/ld.so\0");
        for length in 0..whole.len() {
            assert!(interpreter(&whole[..length]).is_err(), "cut at {length}");
        }
    }
}
