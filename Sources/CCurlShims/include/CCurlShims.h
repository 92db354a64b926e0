#pragma once
#include <curl/curl.h>
#include <stddef.h>

// curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt take a variable argument, which Swift cannot call: one function per type.

CURLcode mesh_curl_set_long(CURL *handle, CURLoption option, long value);
CURLcode mesh_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value);
CURLcode mesh_curl_set_string(CURL *handle, CURLoption option, const char *value);
CURLcode mesh_curl_set_pointer(CURL *handle, CURLoption option, const void *value);
CURLcode mesh_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value);

typedef size_t (*mesh_curl_bytes_function)(char *bytes, size_t size, size_t count, void *context);
// For CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and CURLOPT_READFUNCTION.
CURLcode mesh_curl_set_bytes_function(CURL *handle, CURLoption option, mesh_curl_bytes_function function);

// HTTP and HTTPS only, also after a redirect.
CURLcode mesh_curl_allow_http_only(CURL *handle);

CURLcode mesh_curl_get_long(CURL *handle, CURLINFO info, long *value);
CURLcode mesh_curl_get_offset(CURL *handle, CURLINFO info, curl_off_t *value);
// The text belongs to the handle, and may be NULL.
CURLcode mesh_curl_get_string(CURL *handle, CURLINFO info, const char **value);

// Takes the next message that says that a transfer is done, and its result; 0 when there is none.
int mesh_curl_take_done(CURLM *multi, CURLcode *result);

// How many idle connections a handle keeps.
CURLMcode mesh_curl_multi_set_long(CURLM *multi, CURLMoption option, long value);
