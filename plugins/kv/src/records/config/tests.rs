use super::*;

#[test]
fn settings_read_back_as_they_were_written() {
    for delete_after in
        [DeleteAfter::Unset, DeleteAfter::Disabled, DeleteAfter::Secs(1), DeleteAfter::Secs(u64::MAX - 1)]
    {
        let config = Config {
            max_versions: u32::MAX,
            cas_required: true,
            metadata_cas_required: true,
            delete_after,
            upgrading: true,
        };
        assert_eq!(Config::decode(&config.encode().unwrap()).unwrap(), config);
    }
}
