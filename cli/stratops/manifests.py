"""From manifest files to checked strategies, ready for `stratops up`.

`read(paths)` answers `Checked(strategies, problems)`. A `CheckedStrategy` knows `ref` (`<name>`, with
a namespace `<namespace>/<name>`), `model`, `revision` (ten hex digits), `state_key`, `code_digest`,
`files` (what to watch: the manifest and its source file), and makes two JSON documents. Both are
canonical: sorted keys, no spaces, UTF-8, no floats; quantities and money are decimal strings.

`content`, for the gateway's Deploy (all limits with the values in force, lists for the symbols):

    {"strategy": "desk-a/btc-momentum", "revision": "0123456789", "state_key": "<64 hex>",
     "code_digest": "<64 hex>", "version": "1.4.0", "symbols": ["BTCUSDT"],
     "mode": "observation|simulation|live", "account": "" or a name,
     "capital": {"amount": "100000", "currency": "USDT"},
     "limits": {"allowed_symbols": ["BTCUSDT"], "blocked_symbols": [], "max_order_value": "50000",
                "max_position_size": "1000", "max_daily_loss": "5000", "max_drawdown": "0.1",
                "min_account_balance": "10000", "max_orders_per_second": "10",
                "max_orders_per_minute": "100", "min_confidence": "0.6"},
     "policy": "" or a name, "rollout": {"type": "Rolling", "workingOrders": "Cancel|Keep" or null},
     "parameters": {...as written, numbers as decimal strings...}}

`runner_spec(redis_url)`, for the file named by STRATOPS_SPEC (`null` where nothing applies):

    {"strategy": ref, "revision": ..., "state_key": ..., "code_digest": ..., "version": ...,
     "source": {"builtin": "momentum"} | {"class": "package.module:Class"}
               | {"inline": "<the code>", "name": "<path or name, for messages>"},
     "parameters": {"lookback_period": "200", "allow_short": false, ...},
     "symbols": ["BTCUSDT"], "channels": ["market:btcusdt"], "redis_url": "redis://...",
     "mode": ..., "rollout": {"workingOrders": "Cancel|Keep" or null},
     "memory_limit_bytes": 134217728 or null, "manifest_dir": "/absolute/folder"}

A `file` source is read once, here, and travels as `inline`: a runner that is restarted later runs
the code of its revision, whatever the file has become. `workingOrders` null means the strategy's own
default (Cancel when it declares quotes, else Keep). Channels have their symbol filled in; one with
`*`, `?` or `[` is a pattern.
"""
