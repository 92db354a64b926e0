// zlib, for compressed bodies.
#pragma once
#include <zlib.h>
