/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_extractor v1 - cut a text into chunks and give each a vector: one record a chunk.
 *
 * With a model ("model.v1") vectors come from its encoder, without one from text_hash. The index
 * that vectors belong to is the parameter `index` of the item, else of the replica, else the name
 * of the model; text_hash_v1 always means the built-in embedder.
 *
 * A batch is worked on in two steps: every item is read and cut, then the chunks of all items
 * together go through the encoder, a bounded number at a time. Of a long text only a part is cut;
 * the item is then paused, and goes on where that part ended.
 */
#include <stdlib.h>

#include "extractors/chunk.h"
#include "extractors/encoder_model.h"
#include "extractors/plugins/plugin.h"
#include "extractors/text_hash.h"
#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/utf8.h"

#define CHUNKS_AT_ONCE      128u
#define INDEX_NAME_SIZE_MAX 127u
/* Of one part of one text, so that its records, however they are written, fit in a message. */
#define PART_CHUNKS_MAX   2000u
#define PART_TEXT_BYTES   (2 * SL_MIB)
#define PART_VECTOR_BYTES (3 * SL_MIB)
#define BATCH_TEXT_BYTES  (16 * SL_MIB) /* Of all parts together. */
/* Where there is a model a unit is a token. More of them at a time make its products of matrices no
 * faster, and all that waits behind them later. */
#define BATCH_TOKENS 1024u

struct instance {
    struct sl_model *model; /* NULL: there is none. */
    struct sl_encoder_model encoder;
    const struct sluice_cancelled_v1 *cancelled;
    char *index;      /* Of vectors whose item names none. Owned. */
    uint32_t *tokens; /* Of a text whose cost is asked for; where there is a model. Owned. */
};

/* One item, read and cut. */
struct job {
    struct sl_slice text;
    struct sl_slice *chunks;
    uint32_t count;
    uint64_t first, total; /* Chunks before this part, and in all. */
    uint64_t next_offset;  /* Where the next part begins. */
    char *index;           /* Owned. */
    bool has_encoder;
    bool is_failed; /* Its end has been told to the sink. */
    struct sluice_error error;
};

/* A chunk on its way through the embedder. */
struct piece {
    uint32_t job, chunk;
};

struct batch {
    struct instance *self;
    const struct sluice_sink *sink;
    struct job *jobs;
    uint32_t count;
    uint32_t dimensions; /* Of the encoder. */
    uint32_t *tokens, *sizes;
    float *vectors;
    struct sl_buf fields;
};

/* ---- create and destroy -------------------------------------------------------------------- */

static void
destroy(void *instance)
{
    struct instance *self = instance;
    sl_encoder_model_deinit(&self->encoder);
    sl_model_destroy(&self->model);
    sl_free(self->index);
    sl_free(self->tokens);
    sl_free(self);
}

/* The memory file is mapped once more: that costs a page table, and the pages are shared. */
static int
open_model(struct instance *self, const struct sluice_model_v1 *model, uint32_t threads,
           struct sluice_error *ret_error)
{
    struct sl_cause cause = {0};
    if (!SLUICE_HAS(model, descriptor))
        return plugin_fail(ret_error, SLUICE_ERROR_PERMANENT, "host_too_old",
                           "the host gives no model descriptor");
    enum sl_err err = sl_model_attach(model->descriptor, &self->model, &cause);
    if (err == SL_OK)
        err = sl_encoder_model_init(&self->encoder, self->model, threads, &cause);
    if (err == SL_OK)
        return 0;
    bool may_pass = err == SL_EUNAVAIL || err == SL_ENOMEM;
    return plugin_fail(ret_error, may_pass ? SLUICE_ERROR_TRANSIENT : SLUICE_ERROR_PERMANENT,
                       "model_unusable", "%.250s", cause.text);
}

/* A string parameter, owned; NULL when it is absent or too long for a name. */
static char *
index_param(struct sl_json params)
{
    char *name = sl_json_strdup(sl_json_member(params, "index"));
    if (name != NULL && (name[0] == '\0' || strlen(name) > INDEX_NAME_SIZE_MAX)) {
        sl_free(name);
        return NULL;
    }
    return name;
}

static uint64_t cost(void *instance, const struct sluice_item *item);

/* By tokens; without a model a text costs next to nothing, and any number may come. */
static void
state_batches(struct instance *self, const struct sluice_batch_v1 *batches)
{
    struct sluice_batch batch = {
        .size = sizeof(batch), .units_max = BATCH_TOKENS, .unit = "token", .cost = cost};
    if (batches == NULL || self->model == NULL)
        return;
    self->tokens = sl_alloc(self->encoder.layout->shape.tokens_count_max * sizeof(*self->tokens));
    (void)batches->state(batches->self, &batch); /* Refused: any number comes, as before. */
}

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    const struct sluice_model_v1 *model = host->service(host, "model.v1");
    struct sl_json_doc *params = NULL;
    if (sl_json_parse(sl_slice(config->params, config->params_bytes), &params, NULL) != SL_OK)
        return plugin_fail(ret_error, SLUICE_ERROR_PERMANENT, "invalid_parameter",
                           "the replica's parameters are no JSON object");
    struct instance *self = sl_zalloc(sizeof(*self));
    self->cancelled = host->service(host, "cancelled.v1");
    self->index = index_param(sl_json_root(params));
    sl_json_destroy(&params);
    if (self->index == NULL)
        self->index =
            sl_strdup(model != NULL && model->name[0] != '\0' ? model->name : SL_TEXT_HASH_INDEX);
    if (model != NULL && open_model(self, model, config->threads, ret_error) != 0) {
        destroy(self);
        return -1;
    }
    state_batches(self, host->service(host, "batch.v1"));
    *ret_instance = self;
    return 0;
}

static bool
is_cancelled(void *instance)
{
    const struct instance *self = instance;
    return self->cancelled != NULL && self->cancelled->is_cancelled(self->cancelled->self) != 0;
}

/* ---- reading an item ----------------------------------------------------------------------- */

static bool
read_u32(struct job *job, struct sl_json params, const char *name, uint32_t *value)
{
    struct sl_json v = sl_json_member(params, name);
    uint64_t wide = 0;
    if (!sl_json_has(v))
        return true;
    if (sl_json_u64(v, &wide) != SL_OK || wide > UINT32_MAX) {
        plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "invalid_parameter",
                    "%s must be a whole number that is not negative", name);
        return false;
    }
    *value = (uint32_t)wide;
    return true;
}

/* What the contract of this extractor names and this plugin does not do is refused, not ignored. */
static bool
refuse_unsupported(struct job *job, struct sl_json params)
{
    struct sl_json source = sl_json_member(params, "source_type");
    if (sl_json_has(source) && !sl_json_is(source, "text")) {
        plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "source_type_unsupported",
                    "source_type must be 'text': no other source is supported");
        return false;
    }
    if (sl_json_has(sl_json_member(params, "response_shape"))) {
        plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "response_shape_unsupported",
                    "response_shape needs a generator, and none is deployed");
        return false;
    }
    return true;
}

static bool
read_chunking(struct job *job, struct sl_json params, struct sl_chunk_options *ret)
{
    struct sl_json unit = sl_json_member(params, "split_by");
    struct sl_buf scratch = {0};
    struct sl_slice name = {0};
    bool is_known = true;
    *ret = (struct sl_chunk_options){.size = 1000};
    if (sl_json_has(unit))
        is_known = sl_json_text(unit, &scratch, &name) == SL_OK &&
                   sl_chunk_unit_parse(name, &ret->unit) == SL_OK;
    sl_buf_deinit(&scratch);
    if (!is_known) {
        plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "split_by_unsupported",
                    "split_by must be none, characters, words, sentences, paragraphs or pages");
        return false;
    }
    if (!read_u32(job, params, "chunk_size", &ret->size) ||
        !read_u32(job, params, "chunk_overlap", &ret->overlap))
        return false;
    if (sl_chunk_check(ret) == SL_OK)
        return true;
    plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "invalid_parameter",
                "chunk_size must be 1 to %d, chunk_overlap 0 to %d and less than chunk_size",
                SL_CHUNK_SIZE_MAX, SL_CHUNK_OVERLAP_MAX);
    return false;
}

/* What is given to pause, and comes back; never stored for longer than its task. */
struct resume {
    uint64_t offset, text_bytes, total;
};

static bool
read_resume(struct job *job, const struct sluice_item *item, struct resume *ret)
{
    *ret = (struct resume){0};
    if (!SLUICE_HAS(item, first_record) || item->resume_bytes == 0)
        return true;
    if (item->resume_bytes == sizeof(*ret))
        memcpy(ret, item->resume, sizeof(*ret));
    if (ret->text_bytes == job->text.size && ret->offset < job->text.size)
        return true;
    plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "source_changed",
                "the text changed while it was worked on");
    return false;
}

static bool
read_text(struct job *job, const struct sluice_item *item)
{
    const struct sluice_input *input = plugin_input(item, "text");
    if (input == NULL)
        input = plugin_input(item, "content");
    if (input == NULL && item->input_count == 1)
        input = item->inputs;
    if (input == NULL) {
        plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "input_missing",
                    "the source has no 'text'");
        return false;
    }
    job->text = sl_slice(input->data, input->data_bytes);
    bool was_read = SLUICE_HAS(item, first_record) && item->resume_bytes > 0;
    if (was_read || sl_utf8_is_valid(job->text))
        return true;
    plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "invalid_utf8", "the text is not UTF-8");
    return false;
}

static bool
choose_index(struct job *job, const struct instance *self, struct sl_json params)
{
    job->index = index_param(params);
    if (job->index == NULL)
        job->index = sl_strdup(self->index);
    bool is_hash = strcmp(job->index, SL_TEXT_HASH_INDEX) == 0;
    job->has_encoder = !is_hash;
    if (is_hash || self->encoder.encoder != NULL)
        return true;
    plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "model_missing",
                "vectors of index '%.100s' need its model, and this replica has none", job->index);
    return false;
}

/* Cut the part that is at hand. */
static bool
cut(struct job *job, const struct batch *b, const struct sl_chunk_options *chunking,
    const struct resume *from)
{
    uint32_t dimensions = job->has_encoder ? b->self->encoder.layout->shape.hidden_size
                                           : (uint32_t)SL_TEXT_HASH_DIMENSIONS;
    uint32_t fit = (uint32_t)(PART_VECTOR_BYTES / (dimensions * sizeof(float)));
    struct sl_chunk_part part = {.offset = from->offset,
                                 .count_max = SL_MIN(fit, PART_CHUNKS_MAX),
                                 .bytes_max = SL_MIN(PART_TEXT_BYTES, BATCH_TEXT_BYTES / b->count)};
    if (sl_chunk_next(job->text, chunking, &part) != SL_OK)
        return false;
    job->chunks = part.chunks;
    job->count = part.count;
    job->next_offset = part.offset;
    job->total = from->total > 0 ? from->total
                                 : part.count + sl_chunk_count(job->text, chunking, part.offset);
    return true;
}

/* Fill the job's chunks; on false its error says why not. */
static bool
read_item(struct job *job, const struct batch *b, const struct sluice_item *item)
{
    const struct instance *self = b->self;
    struct resume from;
    struct sl_chunk_options chunking;
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(sl_slice(item->params, item->params_bytes), &doc, NULL) != SL_OK) {
        plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "invalid_parameter",
                    "the parameters are no JSON object");
        return false;
    }
    struct sl_json params = sl_json_root(doc);
    bool is_read = refuse_unsupported(job, params) && read_chunking(job, params, &chunking) &&
                   choose_index(job, self, params) && read_text(job, item) &&
                   read_resume(job, item, &from);
    sl_json_destroy(&doc);
    if (!is_read)
        return false;
    job->first = SLUICE_HAS(item, first_record) ? item->first_record : 0;
    if (cut(job, b, &chunking, &from))
        return true;
    plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "source_changed",
                "the text cannot be cut where it was before");
    return false;
}

/* ---- what an item costs --------------------------------------------------------------------- */

/*
 * Exact where a text is one chunk. Where it is cut it is an upper estimate: as many tokens as there
 * are bytes, those that chunks share twice, and the two that each chunk has besides.
 */
static uint64_t
count_tokens(const struct instance *self, const struct job *job,
             const struct sl_chunk_options *chunking)
{
    uint64_t bytes = SL_MIN(job->text.size, (size_t)PART_TEXT_BYTES);
    uint64_t step = chunking->size - chunking->overlap;
    if (chunking->unit == SL_CHUNK_NONE)
        return sl_wordpiece_encode(self->encoder.tokenizer, job->text, self->tokens,
                                   self->encoder.layout->shape.tokens_count_max);
    return bytes * chunking->size / step + 2 * (bytes / step + 1);
}

/* One that will be refused costs next to nothing. */
static uint64_t
cost(void *instance, const struct sluice_item *item)
{
    const struct instance *self = instance;
    struct job job = {.error = {.size = sizeof(job.error)}};
    struct sl_chunk_options chunking;
    struct sl_json_doc *doc = NULL;
    uint64_t tokens = 1;
    if (sl_json_parse(sl_slice(item->params, item->params_bytes), &doc, NULL) != SL_OK)
        return tokens;
    if (read_chunking(&job, sl_json_root(doc), &chunking) &&
        choose_index(&job, self, sl_json_root(doc)) && job.has_encoder && read_text(&job, item))
        tokens = count_tokens(self, &job, &chunking);
    sl_json_destroy(&doc);
    sl_free(job.index);
    return SL_MAX(tokens, UINT64_C(1));
}

/* ---- embedding ----------------------------------------------------------------------------- */

static void
emit_piece(struct batch *b, struct piece piece, const float *vector, uint32_t dimensions)
{
    struct job *job = &b->jobs[piece.job];
    struct sluice_vector v = {
        .size = sizeof(v), .dimensions = dimensions, .index = job->index, .values = vector};
    struct sl_jsonw w;
    sl_buf_clear(&b->fields);
    sl_jsonw_init(&w, &b->fields);
    sl_jsonw_object(&w);
    sl_jsonw_member_slice(&w, "text", job->chunks[piece.chunk]);
    sl_jsonw_member_u64(&w, "chunk_index", job->first + piece.chunk);
    sl_jsonw_member_u64(&w, "total_chunks", job->total);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sluice_output output = {.size = sizeof(output),
                                   .vector_count = 1,
                                   .fields = (const char *)b->fields.data,
                                   .fields_bytes = b->fields.size,
                                   .vectors = &v};
    if (!job->is_failed && b->sink->emit(b->sink, piece.job, &output) != 0)
        job->is_failed = true;
}

/* Give the pieces of encoder items their vectors and emit them. */
static enum sl_err
encode_pieces(struct batch *b, const struct piece *pieces, uint32_t count)
{
    struct sl_encoder_model *m = &b->self->encoder;
    uint32_t tokens_max = m->layout->shape.tokens_count_max, used = 0;
    for (uint32_t i = 0; i < count; i++) {
        b->sizes[i] =
            sl_wordpiece_encode(m->tokenizer, b->jobs[pieces[i].job].chunks[pieces[i].chunk],
                                b->tokens + used, tokens_max);
        used += b->sizes[i];
    }
    struct sl_encoder_batch batch = {.count = count,
                                     .sizes = b->sizes,
                                     .tokens = b->tokens,
                                     .ret_vectors = b->vectors,
                                     .is_cancelled = is_cancelled,
                                     .self = b->self};
    enum sl_err err = sl_encoder_encode(m->encoder, &batch);
    for (uint32_t i = 0; i < count && err == SL_OK; i++)
        emit_piece(b, pieces[i], b->vectors + (size_t)i * b->dimensions, b->dimensions);
    return err;
}

static void
hash_job(struct batch *b, uint32_t index)
{
    float vector[SL_TEXT_HASH_DIMENSIONS];
    for (uint32_t i = 0; i < b->jobs[index].count && !is_cancelled(b->self); i++) {
        sl_text_hash(b->jobs[index].chunks[i], vector);
        emit_piece(b, (struct piece){index, i}, vector, SL_TEXT_HASH_DIMENSIONS);
    }
}

/* All chunks of items that want the encoder, CHUNKS_AT_ONCE at a time, whosever they are. */
static enum sl_err
encode_jobs(struct batch *b)
{
    struct piece pieces[CHUNKS_AT_ONCE];
    uint32_t count = 0;
    enum sl_err err = SL_OK;
    for (uint32_t i = 0; i < b->count && err == SL_OK; i++) {
        if (b->jobs[i].is_failed || !b->jobs[i].has_encoder)
            continue;
        for (uint32_t chunk = 0; chunk < b->jobs[i].count && err == SL_OK; chunk++) {
            pieces[count++] = (struct piece){i, chunk};
            if (count < CHUNKS_AT_ONCE)
                continue;
            err = encode_pieces(b, pieces, count);
            count = 0;
        }
    }
    if (err == SL_OK && count > 0)
        err = encode_pieces(b, pieces, count);
    return err;
}

/* A host that knows no pause gets no second part: better no result than half of one. */
static void
pause_job(struct batch *b, uint32_t index)
{
    struct job *job = &b->jobs[index];
    struct resume resume = {
        .offset = job->next_offset, .text_bytes = job->text.size, .total = job->total};
    if (SLUICE_HAS(b->sink, pause)) {
        b->sink->pause(b->sink, index, &resume, sizeof(resume));
        return;
    }
    plugin_fail(&job->error, SLUICE_ERROR_PERMANENT, "too_many_chunks",
                "the text gives too many chunks: raise chunk_size");
    b->sink->finish(b->sink, index, &job->error);
}

static void
finish_all(struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct job *job = &b->jobs[i];
        if (job->is_failed)
            continue;
        if (job->first + job->count < job->total)
            pause_job(b, i);
        else
            b->sink->finish(b->sink, i, NULL);
    }
}

static int
run_batch(struct batch *b)
{
    struct sl_encoder_model *m = &b->self->encoder;
    if (m->encoder != NULL) {
        uint32_t tokens_max = m->layout->shape.tokens_count_max;
        b->dimensions = m->layout->shape.hidden_size;
        b->tokens = sl_alloc((size_t)CHUNKS_AT_ONCE * tokens_max * sizeof(*b->tokens));
        b->sizes = sl_alloc(CHUNKS_AT_ONCE * sizeof(*b->sizes));
        b->vectors = sl_alloc((size_t)CHUNKS_AT_ONCE * b->dimensions * sizeof(*b->vectors));
    }
    for (uint32_t i = 0; i < b->count; i++) {
        if (!b->jobs[i].is_failed && !b->jobs[i].has_encoder)
            hash_job(b, i);
    }
    enum sl_err err = encode_jobs(b);
    if (err == SL_OK && !is_cancelled(b->self))
        finish_all(b);
    sl_free(b->tokens);
    sl_free(b->sizes);
    sl_free(b->vectors);
    return err == SL_OK ? 0 : -1;
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    struct batch b = {.self = instance, .sink = sink, .count = count};
    b.jobs = sl_zalloc(count * sizeof(*b.jobs));
    for (uint32_t i = 0; i < count; i++) {
        struct job *job = &b.jobs[i];
        job->error.size = sizeof(job->error);
        if (read_item(job, &b, SLUICE_AT(struct sluice_item, items, i)))
            continue;
        job->is_failed = true;
        sink->finish(sink, i, &job->error);
    }
    int rc = run_batch(&b);
    for (uint32_t i = 0; i < count; i++) {
        sl_free(b.jobs[i].chunks);
        sl_free(b.jobs[i].index);
    }
    sl_free(b.jobs);
    sl_buf_deinit(&b.fields);
    return rc;
}

static const char *
describe(void)
{
    return "{\"input_schema\":{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{"
           "\"text\":{\"type\":\"string\"}}},"
           "\"output_schema\":{\"type\":\"object\",\"properties\":{"
           "\"text\":{\"type\":\"string\"},\"chunk_index\":{\"type\":\"integer\"},"
           "\"total_chunks\":{\"type\":\"integer\"},"
           "\"text_extractor_v1_embedding\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}}},"
           "\"parameter_schema\":{\"type\":\"object\",\"properties\":{"
           "\"split_by\":{\"enum\":[\"none\",\"characters\",\"words\",\"sentences\","
           "\"paragraphs\",\"pages\"],\"default\":\"none\"},"
           "\"chunk_size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000,"
           "\"default\":1000},"
           "\"chunk_overlap\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":5000,"
           "\"default\":0},\"index\":{\"type\":\"string\"}}},"
           "\"position_fields\":[\"chunk_index\"]}";
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {
        .size = sizeof(extractor),
        .abi = SLUICE_EXTRACTOR_ABI,
        .name = "text_extractor",
        .version = "v1",
        .description = "Cuts a text into chunks and gives each a vector.",
        .flags = SLUICE_EXTRACTOR_HAS_VECTORS,
        .create = create,
        .destroy = destroy,
        .process = process,
        .describe = describe,
    };
    return &extractor;
}
