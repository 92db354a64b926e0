// enterprise/inventory
