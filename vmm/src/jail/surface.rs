use launch::Surface;

use super::{JailError, Rights, filter, namespaces};

/// What of the host's kernel can be reached from a closed jail, whatever thread has been taken over,
/// beside a machine of so many devices.
///
/// # Errors
///
/// When it can't be told what this process may do.
pub fn surface(rights: Rights, emulated_devices: usize) -> Result<Surface, JailError> {
    Ok(Surface {
        is_kernel_shared: false,
        allowed_calls: Some(filter::allowed_calls()),
        kvm_ioctls: filter::kvm_ioctls(),
        emulated_devices,
        capabilities: if namespaces::is_privileged()? {
            rights.count()
        } else {
            0
        },
        namespaces: namespaces::count()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_host_cost_rights_of_root_s_monitor() {
        let none = surface(Rights::None, 9).unwrap();
        assert_eq!(none.capabilities, 0);
        assert!(!none.is_kernel_shared);
        let files = surface(Rights::OverFiles, 9).unwrap();
        let expected = if namespaces::is_privileged().unwrap() {
            7
        } else {
            0
        };
        assert_eq!(files.capabilities, expected);
        assert_eq!(
            Surface {
                capabilities: 0,
                ..files
            },
            none
        );
    }

    #[test]
    fn what_is_allowed_is_far_less_than_there_is() {
        let surface = surface(Rights::None, 0).unwrap();
        let calls = surface.allowed_calls.unwrap();
        assert!((20..150).contains(&calls), "{calls}");
        assert!((10..30).contains(&surface.kvm_ioctls), "{surface:?}");
    }
}
