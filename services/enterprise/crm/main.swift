// enterprise/crm
