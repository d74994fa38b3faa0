/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_service.h - the service "objects.v1" (sluice/objects.h) over a replica's socket to the
 * node's store. Handles are checked, so that a plugin that releases twice harms nobody.
 *
 * Threading: one call at a time, on any thread.
 */
#ifndef SL_EXTRACTORS_OBJECT_SERVICE_H
#define SL_EXTRACTORS_OBJECT_SERVICE_H

#include "object-store/object_client.h"
#include "sluice/objects.h"

struct sl_object_service;

/* Takes the socket over; what comes from it is `tenant`'s. */
struct sl_object_service *sl_object_service_create(int fd, uint64_t tenant);
/* What is held still is let go of. NULL inside is fine. */
void sl_object_service_destroy(struct sl_object_service **service);
/* Its way to the store, for other services; lives as long as it does. */
struct sl_object_client *sl_object_service_client(const struct sl_object_service *service);
/* What the plugin is given; lives as long as the service. */
const struct sluice_objects_v1 *sl_object_service_face(const struct sl_object_service *service);

#endif
