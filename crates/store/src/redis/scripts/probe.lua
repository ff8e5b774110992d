-- Proves that the server takes writes from this user.
-- KEYS[1]: a key that nobody else uses.
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return 1
