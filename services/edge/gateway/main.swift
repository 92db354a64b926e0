// edge/gateway
