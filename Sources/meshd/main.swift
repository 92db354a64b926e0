// meshd
