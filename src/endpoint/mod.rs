//! Following a tenant to the host that serves it.

mod origin;

pub(crate) use self::origin::Origin;
