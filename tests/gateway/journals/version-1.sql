-- Written by the gateway of version 0.1, before pods, policies and flattening: it must be read for ever.
BEGIN TRANSACTION;
CREATE TABLE log (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    strategy TEXT NOT NULL,
    key TEXT,                -- what must not be journalled twice: a signal id, a fill id
    outcome INTEGER,         -- number of the strategy's outcome that this record is
    at_ns INTEGER NOT NULL,
    body TEXT NOT NULL       -- JSON
);
INSERT INTO "log" VALUES(1,'term','',NULL,NULL,1795263945868126173,'{"term":1,"holder":"test"}');
INSERT INTO "log" VALUES(2,'deployed','s',NULL,NULL,1795263945868438379,'{"revision":"r1","content":"{\"symbols\": [\"BTCUSDT\"], \"mode\": \"simulation\", \"capital\": {\"amount\": \"1000000\", \"currency\": \"USDT\"}, \"limits\": {\"max_order_value\": \"1000000\", \"max_position_size\": \"5\", \"max_daily_loss\": \"1000000\", \"max_drawdown\": \"1\", \"min_account_balance\": \"0\", \"max_orders_per_second\": \"100000\", \"max_orders_per_minute\": \"100000\"}}","runner_token_sha256":"813b241823496c6707f5c2b5de3570d6ff66cca84b7921709be4478b26e79606"}');
INSERT INTO "log" VALUES(3,'grant','s',NULL,NULL,1795263945868491007,'["wanted",{"revision":"r1","reason":""}]');
INSERT INTO "log" VALUES(4,'grant','s',NULL,NULL,1795263945872629416,'["armed",{"epoch":1,"instance":"a","revision":"r1","why":"first","state_key":"","mark":{"count":0,"crc":0,"outcome":0,"digest":0,"sequences":{},"session":""},"after":0}]');
INSERT INTO "log" VALUES(5,'batch','s','s|000000000001|000000000000001',NULL,1795263945876952220,'{"epoch":1,"number":1,"mark":{"count":1,"crc":0,"outcome":0,"digest":0,"sequences":{"BTCUSDT/tick":1},"session":"run-1"},"inputs":[],"stopped":"","watermarks":{"day":0,"day_start":"1000000","peak":"1000000","equity":"1000000"}}');
INSERT INTO "log" VALUES(6,'decided','s','x',NULL,1795263945876952220,'{"signal":{"id":"x","symbol":"BTCUSDT","cause":{"symbol":"BTCUSDT","type":"tick","sequence":1,"at_ns":1000000000},"at_ns":1000000000,"action":"order","side":"buy","order_type":"market","quantity":"2","price":null,"stop_price":null,"time_in_force":"GTC","priority":5,"max_slippage":null,"confidence":null,"expires_ns":null,"cancels":null,"closing":false,"metadata":{}},"epoch":1,"batch":1,"revision":"r1","now_ns":1000000000,"reason":null,"message":"","bid":"100.0","ask":"101.0","order":{"client_order_id":"x-0","signal_id":"x","strategy":"s","revision":"r1","epoch":1,"symbol":"BTCUSDT","side":"buy","order_type":"market","quantity":"2.00000","cause":{"symbol":"BTCUSDT","type":"tick","sequence":1,"at_ns":1000000000},"at_ns":1000000000,"price":null,"stop_price":null,"time_in_force":"GTC","closing":false,"state":"pending","filled_quantity":"0","filled_notional":"0","fee":"0","announced_quantity":"0","venue_order_id":""}}');
INSERT INTO "log" VALUES(7,'decided','s','big',1,1795263945876952220,'{"signal":{"id":"big","symbol":"BTCUSDT","cause":{"symbol":"BTCUSDT","type":"tick","sequence":1,"at_ns":1000000000},"at_ns":1000000000,"action":"order","side":"buy","order_type":"market","quantity":"9","price":null,"stop_price":null,"time_in_force":"GTC","priority":5,"max_slippage":null,"confidence":null,"expires_ns":null,"cancels":null,"closing":false,"metadata":{}},"epoch":1,"batch":1,"revision":"r1","now_ns":1000000000,"reason":"max_position_size","message":"position 0 could become 11.00000, allowed is 5","bid":"100.0","ask":"101.0","order":null}');
INSERT INTO "log" VALUES(8,'fill','s','x-0-1',2,1795263945878176719,'{"fill_id":"x-0-1","client_order_id":"x-0","strategy":"s","symbol":"BTCUSDT","side":"buy","price":"101","quantity":"2","fee":"0.1","at_ns":7,"order_id":"","liquidity":"taker","venue":""}');
INSERT INTO "log" VALUES(9,'batch','s','s|000000000001|000000000000002',NULL,1795263945879498412,'{"epoch":1,"number":2,"mark":{"count":2,"crc":0,"outcome":0,"digest":0,"sequences":{"BTCUSDT/tick":2},"session":"run-1"},"inputs":[],"stopped":"","watermarks":{"day":0,"day_start":"1000000","peak":"1000000","equity":"999998.9"}}');
INSERT INTO "log" VALUES(10,'decided','s','y',NULL,1795263945879498412,'{"signal":{"id":"y","symbol":"BTCUSDT","cause":{"symbol":"BTCUSDT","type":"tick","sequence":2,"at_ns":2000000000},"at_ns":2000000000,"action":"order","side":"buy","order_type":"market","quantity":"1","price":null,"stop_price":null,"time_in_force":"GTC","priority":5,"max_slippage":null,"confidence":null,"expires_ns":null,"cancels":null,"closing":false,"metadata":{}},"epoch":1,"batch":2,"revision":"r1","now_ns":2000000000,"reason":null,"message":"","bid":"100.0","ask":"101.0","order":{"client_order_id":"y-0","signal_id":"y","strategy":"s","revision":"r1","epoch":1,"symbol":"BTCUSDT","side":"buy","order_type":"market","quantity":"1.00000","cause":{"symbol":"BTCUSDT","type":"tick","sequence":2,"at_ns":2000000000},"at_ns":2000000000,"price":null,"stop_price":null,"time_in_force":"GTC","closing":false,"state":"pending","filled_quantity":"0","filled_notional":"0","fee":"0","announced_quantity":"0","venue_order_id":""}}');
INSERT INTO "log" VALUES(11,'halted','',NULL,NULL,1795263945880336543,'{"reason":"drill"}');
INSERT INTO "log" VALUES(12,'term','',NULL,NULL,1795263945880524314,'{"term":2,"holder":"test"}');
INSERT INTO "log" VALUES(13,'deployed','s',NULL,NULL,1795263945880621489,'{"revision":"r2","content":"{\"symbols\": [\"BTCUSDT\"], \"mode\": \"simulation\", \"capital\": {\"amount\": \"1000000\", \"currency\": \"USDT\"}, \"limits\": {\"max_order_value\": \"1000000\", \"max_position_size\": \"3\", \"max_daily_loss\": \"1000000\", \"max_drawdown\": \"1\", \"min_account_balance\": \"0\", \"max_orders_per_second\": \"100000\", \"max_orders_per_minute\": \"100000\"}}","runner_token_sha256":"813b241823496c6707f5c2b5de3570d6ff66cca84b7921709be4478b26e79606"}');
INSERT INTO "log" VALUES(14,'grant','s',NULL,NULL,1795263945880688248,'["wanted",{"revision":"r2","reason":""}]');
INSERT INTO "log" VALUES(15,'stray','','stranger-0-1',NULL,1795263945881818406,'{"fill":{"fill_id":"stranger-0-1","client_order_id":"","strategy":"nobody","symbol":"BTCUSDT","side":"buy","price":"101","quantity":"1","fee":"0.1","at_ns":7,"order_id":"","liquidity":"taker","venue":""},"why":"no strategy ''nobody'' and no order of that id"}');
INSERT INTO "log" VALUES(16,'grant','s',NULL,NULL,1795263945882760883,'["wanted",{"revision":"","reason":"done"}]');
INSERT INTO "log" VALUES(17,'grant','s',NULL,NULL,1795263945883242492,'["ended",{"epoch":1,"why":"withdrawn","mark":{"count":2,"crc":0,"outcome":0,"digest":0,"sequences":{"BTCUSDT/tick":2},"session":"run-1"}}]');
INSERT INTO "log" VALUES(18,'term','',NULL,NULL,1795263945884044870,'{"term":3,"holder":"test"}');
INSERT INTO "log" VALUES(19,'deployed','s',NULL,NULL,1795263945884137739,'{"revision":"r3","content":"{\"symbols\": [\"BTCUSDT\"], \"mode\": \"simulation\", \"capital\": {\"amount\": \"1000000\", \"currency\": \"USDT\"}, \"limits\": {\"max_order_value\": \"1000000\", \"max_position_size\": \"1000\", \"max_daily_loss\": \"1000000\", \"max_drawdown\": \"1\", \"min_account_balance\": \"0\", \"max_orders_per_second\": \"100000\", \"max_orders_per_minute\": \"100000\"}}","runner_token_sha256":"813b241823496c6707f5c2b5de3570d6ff66cca84b7921709be4478b26e79606"}');
INSERT INTO "log" VALUES(20,'grant','s',NULL,NULL,1795263945884164178,'["wanted",{"revision":"r3","reason":""}]');
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL, -- of the log record that made it
    strategy TEXT NOT NULL,
    state TEXT NOT NULL,
    filled_quantity TEXT NOT NULL,
    filled_notional TEXT NOT NULL,
    fee TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "orders" VALUES('x-0',6,'s','filled','2','202','0.1');
INSERT INTO "orders" VALUES('y-0',10,'s','pending','0','0','0');
CREATE UNIQUE INDEX log_key ON log (kind, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX log_outcome ON log (strategy, outcome) WHERE outcome IS NOT NULL;
CREATE INDEX orders_number ON orders (number);
COMMIT;
