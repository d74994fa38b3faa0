/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http.h"
