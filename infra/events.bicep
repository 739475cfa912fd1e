// The subscription that brings blob events to the app. Deployed after the code: the host makes the key that the URL
// needs when it first sees a blob trigger. The key goes from the app to Event Grid, and into no output.
param appName string
param topicName string
param dataContainer string

@description('Folders of the container, as in main.bicep.')
param watchedFolders string

@description('Names of the functions of these folders, in their order: `changed_in_...`.')
param functionNames array

var folders = split(watchedFolders, ',')
var blobsKey = listKeys('${app.id}/host/default', '2024-11-01').systemKeys.blobs_extension

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: appName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource subscriptions 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [for (folder, i) in folders: {
  parent: topic
  name: 'millstream-${i}'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.${functionNames[i]}&code=${blobsKey}'
        maxEventsPerBatch: 1
        minimumTlsVersionAllowed: '1.2'
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
      ]
      subjectBeginsWith: '/blobServices/default/containers/${dataContainer}/blobs/${trim(folder)}/'
    }
    retryPolicy: {
      eventTimeToLiveInMinutes: 1440
      maxDeliveryAttempts: 30
    }
  }
}]
