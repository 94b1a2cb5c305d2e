//! `tls-server-end-point` of RFC 5929: ties the log-in to the certificate, so that nobody in between can pass it on.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// The hash of the certificate by the algorithm that it is signed with; none for those that sign without a hash of their own.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = hash_of(signature_algorithm(certificate)?)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// MD5 and SHA-1 are replaced by SHA-256.
fn hash_of(oid: &[u8]) -> Option<&'static Algorithm> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let (last, family) = oid.split_last()?;
    match (family, last) {
        (RSA, 4 | 5 | 11) | (ECDSA_SHA1, 1) | (ECDSA_SHA2, 2) => Some(&SHA256),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(&SHA384),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(&SHA512),
        _ => None,
    }
}

/// The object identifier of the algorithm of the outer signature:
/// `SEQUENCE { tbsCertificate, SEQUENCE { algorithm OBJECT IDENTIFIER, … }, signature }`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(SEQUENCE, certificate)?;
    let (_, behind_tbs) = element(SEQUENCE, certificate)?;
    let (algorithm, _) = element(SEQUENCE, behind_tbs)?;
    Some(element(OBJECT_IDENTIFIER, algorithm)?.0)
}

/// Content of the DER element at the start, and what stands behind it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = bytes.iter().try_fold(0_usize, |length, byte| {
            Some(length.checked_mul(256)? + usize::from(*byte))
        })?;
        (length, rest)
    };
    (found == tag).then_some(rest.split_at_checked(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_algorithm_is_found() {
        // A certificate of a 130-byte body, signed by ecdsa-with-SHA384.
        let algorithm = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
        let mut inner = vec![0x30, 0x81, 130];
        inner.extend([0; 130]);
        inner.extend(algorithm);
        inner.extend([0x03, 0x01, 0x00]);
        let mut certificate = vec![0x30, 0x82, 0, u8::try_from(inner.len()).unwrap()];
        certificate.extend(&inner);
        let oid = signature_algorithm(&certificate).unwrap();
        assert_eq!(oid, &algorithm[4..]);
        assert_eq!(hash_of(oid).unwrap(), &SHA384);
        assert_eq!(server_end_point(&certificate).unwrap().len(), 48);
        for end in 0..certificate.len() - 4 {
            assert!(server_end_point(&certificate[..end]).is_none(), "{end}");
        }
    }
}
