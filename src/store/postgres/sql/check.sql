SELECT current_setting('server_version_num')::integer, current_setting('synchronous_commit'),
    current_setting('fsync'), current_setting('transaction_read_only'),
    extract(epoch FROM clock_timestamp())::bigint
