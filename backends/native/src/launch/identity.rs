//! Who a sandbox's ids are on the host.

use std::{collections::BTreeSet, fmt::Write};

/// Most ids of one kind. Each sandbox of root has a block of so many of its own.
pub(crate) const MAX_IDS: usize = 256;
/// The kernel takes a map in one write of less than a page.
const MAX_TEXT: usize = 4096;

/// Which ids the sandbox has, inside and on the host. Every other owner shows as `nobody`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    /// The sandbox's user. Both are in the maps.
    pub uid: u32,
    pub gid: u32,
    /// Whom belongs what is made while the root is built: root where there is one inside.
    pub builder_uid: u32,
    pub builder_gid: u32,
    pub uids: IdMap,
    pub gids: IdMap,
    /// Supplementary groups can be given up: only with privilege.
    pub drop_groups: bool,
}

/// Pairs of an id inside and one of the host, by the one inside. Each id occurs once on either side.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct IdMap(Vec<(u32, u32)>);

impl Identity {
    /// One user and nothing else.
    pub(crate) fn single(
        (uid, gid): (u32, u32),
        (host_uid, host_gid): (u32, u32),
        drop_groups: bool,
    ) -> Self {
        Self {
            uid,
            gid,
            builder_uid: uid,
            builder_gid: gid,
            uids: IdMap::single(uid, host_uid),
            gids: IdMap::single(gid, host_gid),
            drop_groups,
        }
    }

    pub(crate) fn host_uid(&self) -> u32 {
        self.uids.host(self.uid).expect("the user is in the map")
    }

    pub(crate) fn host_gid(&self) -> u32 {
        self.gids.host(self.gid).expect("the user is in the map")
    }
}

impl IdMap {
    pub(crate) fn single(inside: u32, host: u32) -> Self {
        Self(vec![(inside, host)])
    }

    /// One id of the block that begins at `first` for each of `inside`. Pairs of `known` stay as they are: they own
    /// files already. None: there are more than the block or the kernel takes.
    pub(crate) fn allocate(inside: &BTreeSet<u32>, first: u32, known: &[(u32, u32)]) -> Option<Self> {
        let mut pairs = known.to_vec();
        let taken: BTreeSet<u32> = known.iter().map(|(_, host)| *host).collect();
        let mut free = (first..first + MAX_IDS as u32).filter(|host| !taken.contains(host));
        for id in inside {
            if !known.iter().any(|(known, _)| known == id) {
                pairs.push((*id, free.next()?));
            }
        }
        pairs.sort_unstable();
        let map = Self(pairs);
        (map.text().len() < MAX_TEXT).then_some(map)
    }

    pub(crate) fn host(&self, inside: u32) -> Option<u32> {
        let index = self.0.binary_search_by_key(&inside, |(inside, _)| *inside).ok()?;
        Some(self.0[index].1)
    }

    pub(crate) fn pairs(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// As `/proc/PID/uid_map` takes it. Neighbours share a line.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.0.as_slice();
        while let [(inside, host), ..] = rest {
            let follows = |(offset, pair): (u32, &(u32, u32))| {
                inside.checked_add(offset) == Some(pair.0) && host.checked_add(offset) == Some(pair.1)
            };
            let length = (0u32..).zip(rest).take_while(|pair| follows(*pair)).count();
            writeln!(text, "{inside} {host} {length}").expect("writing to a string cannot fail");
            rest = &rest[length..];
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: u32 = 1_879_048_192;

    fn set(ids: &[u32]) -> BTreeSet<u32> {
        ids.iter().copied().collect()
    }

    #[test]
    fn neighbours_share_a_line() {
        let map = IdMap::allocate(&set(&[0, 1, 2, 33, 1000]), FIRST, &[]).unwrap();
        let lines = "0 1879048192 3\n33 1879048195 1\n1000 1879048196 1\n";
        assert_eq!(map.text(), lines);
        assert_eq!(map.host(33), Some(FIRST + 3));
        assert_eq!(map.host(34), None);
    }

    #[test]
    fn what_owns_files_already_keeps_its_id() {
        let known = [(0, FIRST), (1000, FIRST + 1)];
        let map = IdMap::allocate(&set(&[0, 33, 1000]), FIRST, &known).unwrap();
        assert_eq!(map.pairs(), [(0, FIRST), (33, FIRST + 2), (1000, FIRST + 1)]);
    }

    #[test]
    fn more_ids_than_a_block_has_are_refused() {
        let ids = |count: u32| (0..count).collect::<BTreeSet<_>>();
        assert!(IdMap::allocate(&ids(256), FIRST, &[]).is_some());
        assert!(IdMap::allocate(&ids(257), FIRST, &[]).is_none());
    }

    #[test]
    fn more_lines_than_the_kernel_takes_are_refused() {
        let scattered: BTreeSet<u32> = (0..256).map(|index| 4_000_000_000 + index * 2).collect();
        assert!(IdMap::allocate(&scattered, FIRST, &[]).is_none());
    }

    proptest! {
        #[test]
        fn every_id_is_in_exactly_one_line(ids in proptest::collection::btree_set(0u32..300, 1..150)) {
            let map = IdMap::allocate(&ids, FIRST, &[]).unwrap();
            let mut found = Vec::new();
            for line in map.text().lines() {
                let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
                found.extend((0..numbers[2]).map(|offset| (numbers[0] + offset, numbers[1] + offset)));
            }
            prop_assert_eq!(found, map.pairs().to_vec());
        }
    }
}
