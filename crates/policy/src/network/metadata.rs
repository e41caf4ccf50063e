//! Where clouds give instances their credentials, as data. Denied in every mode unless a rule names exactly it.

use std::net::IpAddr;

use super::special::embedded;

/// Addresses with the documentation that names them.
const ADDRESSES: &[(&str, &str)] = &[
    // AWS: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    // Google: https://cloud.google.com/compute/docs/metadata/querying-metadata
    // Azure: https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
    // Oracle: https://docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm
    // DigitalOcean: https://docs.digitalocean.com/reference/api/metadata/
    // Hetzner: https://docs.hetzner.cloud/reference/cloud
    ("169.254.169.254", "instance metadata of most clouds"),
    ("fd00:ec2::254", "instance metadata of AWS"),
    // https://cloud.google.com/compute/docs/metadata/querying-metadata
    ("fd20:ce::254", "instance metadata of Google Cloud"),
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    ("169.254.170.2", "task credentials of AWS ECS"),
    // https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
    ("169.254.170.23", "pod credentials of AWS EKS"),
    ("fd00:ec2::23", "pod credentials of AWS EKS"),
    // https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
    ("100.100.100.200", "instance metadata of Alibaba Cloud"),
    // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    ("168.63.129.16", "platform services of Azure"),
    // https://www.tencentcloud.com/document/product/213/4934
    ("169.254.0.23", "instance metadata of Tencent Cloud"),
    // https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init/
    ("169.254.42.42", "instance metadata of Scaleway"),
    ("fd00:42::42", "instance metadata of Scaleway"),
    // The older service of Oracle Cloud: https://docs.oracle.com/en/cloud/iaas/compute-iaas-cloud/
    ("192.0.0.192", "instance metadata of Oracle Cloud Classic"),
];

/// Names under which the same services answer, with the documentation above.
const NAMES: &[&str] = &[
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.tencentyun.com",
];

/// What the address is, also where it hides in an IPv6 address.
pub(super) fn service(address: IpAddr) -> Option<&'static str> {
    let hidden = embedded(address);
    ADDRESSES.iter().find_map(|(text, what)| {
        let known: IpAddr = text.parse().expect("the table has addresses");
        let same = known == address || hidden.iter().any(|&four| known == four);
        same.then_some(*what)
    })
}

pub(super) fn is_name(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The addresses of the table, for questions about blocks.
pub(super) fn addresses() -> impl Iterator<Item = IpAddr> {
    ADDRESSES
        .iter()
        .map(|(text, _)| text.parse().expect("the table has addresses"))
}
