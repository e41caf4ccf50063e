//! The landlock rules of a root.

use super::{Composer, kernel::DEVICES};
use crate::launch::{
    landlock::right,
    plan::{Landlock, LandlockRule, c_string},
};

impl Composer {
    pub(super) fn landlock(&self, version: u32) -> Landlock {
        let handled = crate::launch::landlock::handled(version);
        let scoped = crate::launch::landlock::scoped(version);
        let everything = handled & !right::IOCTL_DEV;
        let reading = (right::EXECUTE | right::READ_FILE | right::READ_DIR) & handled;
        let rule = |path: &str, rights: u64| LandlockRule {
            path: c_string(path),
            rights: rights & handled,
        };
        let mut rules = vec![rule("/", if self.read_only { reading } else { everything })];
        // Devices and terminals take control calls; nothing else does.
        rules.push(rule("/dev/pts", handled));
        for device in DEVICES {
            rules.push(rule(&format!("/dev/{device}"), right::ON_FILES));
        }
        if self.read_only {
            rules.extend(self.writable.iter().map(|path| rule(path.as_str(), everything)));
        }
        Landlock {
            handled,
            scoped,
            rules,
            log_rights: everything,
        }
    }
}
