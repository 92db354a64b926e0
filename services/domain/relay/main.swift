// domain/relay
