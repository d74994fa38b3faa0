/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which plane a request goes to. Keys are digests of secrets, so a key of one plane is another's by
 * copying alone; then the plane listed first has it, and that is said once.
 */
#include "gateway/front/plane.h"

#include <strings.h>

#include "gateway/front/page.h"
#include "gateway/presign.h"
#include "object-store/incoming.h"
#include "runtime/hash.h"
#include "runtime/report.h"

const struct sl_front_plane *
sl_request_plane(const struct sl_request *request)
{
    const struct sl_front_options *options = &request->front->options;
    sl_assert(request->call->plane < options->planes_count);
    return &options->planes[request->call->plane];
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* No more of the secret than lists of keys show. */
static void
report_twin(struct sl_front *front, const struct sl_call *call, struct sl_slice secret,
            uint32_t other)
{
    uint64_t bits;
    memcpy(&bits, call->who.digest, sizeof(bits));
    for (uint32_t i = 0; i < front->twins.count; i++) {
        if (front->twins.bits[i] == bits)
            return;
    }
    if (front->twins.count == SL_FRONT_TWINS_MAX)
        return;
    front->twins.bits[front->twins.count++] = bits;
    sl_report_warn("key-of-two-heads", "key=%.9s... head=%u other=%u action=\"the first is asked\"",
                   (const char *)secret.data, call->plane + 1, other + 1);
}

static struct sl_slice
secret_of(const struct sl_request *request)
{
    struct sl_slice sent = sl_request_header(request, SL_HEADER_authorization);
    if (sent.size <= 7 || strncasecmp((const char *)sent.data, "Bearer ", 7) != 0)
        return sl_slice(NULL, 0);
    return sl_slice(sent.data + 7, sent.size - 7);
}

/* Of the key that was sent; where none was, of the session that stands for one. */
static enum sl_err
digest_of(struct sl_request *request, uint64_t now_ms, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    struct sl_slice secret = secret_of(request);
    if (sl_request_header(request, SL_HEADER_authorization).data == NULL)
        return sl_page_session(request, now_ms, ret_digest);
    if (!sl_secret_is_well_formed(secret))
        return SL_EDENIED; /* Whatever the heads know. */
    sl_sha256(secret, ret_digest);
    return SL_OK;
}

enum sl_err
sl_plane_of_key(struct sl_request *request, uint64_t now_ms)
{
    struct sl_front *front = request->front;
    struct sl_call *call = request->call;
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who;
    enum sl_err err = SL_EDENIED;
    if (digest_of(request, now_ms, digest) != SL_OK)
        return SL_EDENIED;
    for (uint32_t i = 0; i < front->options.planes_count; i++) {
        struct sl_keyring *keyring = front->options.planes[i].keyring;
        bool is_known = sl_keyring_find(keyring, digest, now_ms, &who) == SL_OK;
        if (is_known && err == SL_OK) {
            report_twin(front, call, secret_of(request), i);
        } else if (is_known) {
            call->who = who;
            call->plane = i;
            err = SL_OK;
        } else if (err != SL_OK && !sl_keyring_is_filled(keyring)) {
            err = SL_EUNAVAIL;
        }
    }
    return err;
}

/* ---- addresses ----------------------------------------------------------------------------- */

static bool
has_signed(const struct sl_front_plane *plane, struct sl_call *call)
{
    struct sl_presigned written;
    struct sl_presigned_read read;
    if (plane->incoming == NULL)
        return false;
    const uint8_t *secret = sl_incoming_secret(plane->incoming);
    return call->route->body == SL_BODY_UPLOAD ? sl_presign_check(call, secret, &written)
                                               : sl_presign_read_check(call, secret, &read);
}

static bool
is_signed(const struct sl_route *route)
{
    return route->body == SL_BODY_UPLOAD || (route->flags & SL_ROUTE_BYTES) != 0;
}

void
sl_plane_of_address(struct sl_request *request)
{
    const struct sl_front_options *options = &request->front->options;
    struct sl_call *call = request->call;
    uint32_t count = options->planes_count;
    if (count == 1 || (call->route->flags & SL_ROUTE_FRONT))
        return;
    for (uint32_t i = 0; is_signed(call->route) && i < count; i++) {
        if (has_signed(&options->planes[i], call)) {
            call->plane = i;
            return;
        }
    }
    if (sl_plane_of_key(request, call->now_ms) == SL_OK) {
        call->who = (struct sl_identity){0}; /* The route has no caller. */
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (options->planes[i].is_up == NULL || atomic_load(options->planes[i].is_up)) {
            call->plane = i;
            return;
        }
    }
}

/* ---- room ---------------------------------------------------------------------------------- */

/* Each call that waits has a connection: a head that hangs must not have them all. */
void
sl_plane_admit(struct sl_request *request)
{
    const struct sl_front *front = request->front;
    if (front->options.planes_count == 1 ||
        front->waiting[request->call->plane] < front->slots_count / 2)
        return;
    sl_call_fail(request->call, SL_API_UNAVAILABLE,
                 "too many requests wait for the head of this tenant");
    sl_call_detail(request->call, "reason", "gateway_full");
}
