/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_service.h - the service "models.v1" (sluice/models.h) over whoever has models: a replica's
 * socket to its node. What a plugin closes twice harms nobody.
 *
 * Threading: one call at a time, on any thread; and none of another service over the same socket.
 */
#ifndef SL_EXTRACTORS_MODEL_SERVICE_H
#define SL_EXTRACTORS_MODEL_SERVICE_H

#include "object-store/cause.h"
#include "sluice/models.h"

struct sl_model_service;

struct sl_model_source {
    /* The memory file of a model, the caller's to close; may block. As sl_object_client_model. */
    enum sl_err (*open)(void *arg, struct sl_slice id, int *ret_fd, struct sl_cause *ret_cause);
    void *arg;
};

struct sl_model_service *sl_model_service_create(const struct sl_model_source *source);
/* What is open still is closed. NULL inside is fine. */
void sl_model_service_destroy(struct sl_model_service **service);
/* What the plugin is given; lives as long as the service. */
const struct sluice_models_v1 *sl_model_service_face(const struct sl_model_service *service);

#endif
